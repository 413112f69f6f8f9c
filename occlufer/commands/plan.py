"""The command `occlufer plan`: says which cells fall short of the quotas, before any labelling."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any

from occlufer.commands.printing import show
from occlufer.errors import GateError

SUMMARY = "Say what falls short of the quotas, before anybody labels"

CELLS_SHOWN = 20


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    command.add_argument("--config", type=Path, help="whose quotas and workspace (as for build)")
    command.add_argument("--workspace", type=Path, help="of the build that is meant")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(going_on="nothing was written")


def run(arguments: argparse.Namespace) -> None:
    """Print the plan; raises GateError if quotas that must be met exactly are out of reach."""
    from occlufer.config_file import config_at
    from occlufer.workspace import open_built

    config = config_at(arguments.config)
    with open_built(arguments.workspace or config.workspace) as workspace:
        found = import_module("occlufer.builders.plan").plan(workspace, config).to_json()
    show(arguments.json, found, _text(found))
    if found["quota"] == "exact" and not found["within_reach"]:
        raise GateError(f"plan: {found['shortage']}")


def _text(plan: dict[str, Any]) -> str:
    lines = [f"{plan['candidates']} samples, {plan['unknown']} of them without a label as yet"]
    for one in plan["classes"]:
        wanted = " + ".join(str(count) for count in one["wanted"].values())
        short = ", ".join(f"{count} short in {s}" for s, count in one["short"].items() if count)
        lines.append(
            f"  {one['label']:10} {one['known']:6d} known of {wanted:>11}  {short}".rstrip()
        )
    cells = plan["cells"]
    if cells:
        lines.append("cells that fall short, by class, occlusion and source:")
        lines += [_cell_text(cell) for cell in cells[:CELLS_SHOWN]]
    if len(cells) > CELLS_SHOWN:
        lines.append(f"  and {len(cells) - CELLS_SHOWN} more: --json names them all")
    return "\n".join([*lines, _verdict(plan)])


def _cell_text(cell: dict[str, Any]) -> str:
    return (
        f"  {cell['label']}, {cell['occlusion']}, {cell['source']}: {cell['short']} short "
        f"({cell['wanted']} wanted, {cell['known']} known, {cell['unknown']} without a label)"
    )


def _verdict(plan: dict[str, Any]) -> str:
    if plan["met"]:
        verdict = "the quotas can be met"
    elif plan["within_reach"]:
        verdict = "the quotas can be met if those who label find what is missing"
    else:
        verdict = "the quotas cannot be met"
    if plan["quota"] == "exact":
        return verdict
    return f'{verdict}; with quota = "{plan["quota"]}" nothing has to be'
