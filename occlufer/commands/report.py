"""The command `occlufer report`: writes one HTML page about a build and a training run."""

from __future__ import annotations

import argparse
from pathlib import Path

SUMMARY = "Write one HTML page about a build and a training run"


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    command.add_argument("--config", type=Path, help="as for build")
    command.add_argument("--workspace", type=Path, help="of the build")
    command.add_argument("--run", type=Path, help="the folder of a training run, if any")
    command.add_argument("--evaluation", type=Path, help="what `evaluate` has written, if anything")
    command.add_argument("--out", type=Path, default=Path("report.html"), help="what to write")
    command.set_defaults(going_on="nothing was written")


def run(arguments: argparse.Namespace) -> None:
    """Write the page."""
    from occlufer.config_file import config_at
    from occlufer.report.report import write_report

    config = config_at(arguments.config)
    workspace = arguments.workspace or config.workspace
    write_report(workspace, arguments.run, arguments.out, config, arguments.evaluation)
    print(f"report: {arguments.out}")
