"""The command `occlufer annotate`: one action for each step of labelling by people."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from occlufer.commands.printing import show
from occlufer.errors import UsageError

SUMMARY = "Have people label on Label Studio"


@dataclass(frozen=True)
class Action:
    """One action of the command."""

    summary: str
    options: tuple[str, ...]
    """Beside --config, --workspace and --json, which all have; see OPTIONS."""
    function: Callable[[argparse.Namespace, Any], tuple[dict[str, Any], str]]
    """Takes the arguments and the config; gives what is printed, as JSON and as text."""
    going_on: str
    """What is true after Ctrl-C."""


OPTIONS: dict[str, dict[str, Any]] = {
    "--url": {"help": "a server of your own, in place of the config's [annotation] url"},
    "--dry-run": {"action": "store_true", "help": "only say what would be sent"},
    "--full": {"action": "store_true", "help": "read everything anew, to find deleted tasks too"},
}


def add(command: argparse.ArgumentParser) -> None:
    """Add the actions to the command."""
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, action in ACTIONS.items():
        parser = actions.add_parser(name, help=action.summary, description=f"{action.summary}.")
        parser.add_argument("--config", type=Path, help="as for build")
        parser.add_argument("--workspace", type=Path, help="of the build")
        for option in action.options:
            parser.add_argument(option, **OPTIONS[option])
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.set_defaults(going_on=action.going_on)


def run(arguments: argparse.Namespace) -> None:
    """Do what the arguments ask for and print it."""
    value, text = ACTIONS[arguments.action].function(arguments, _config(arguments))
    show(arguments.json, value, text)


def _config(arguments: argparse.Namespace) -> Any:
    from occlufer.config_file import config_at, with_overrides

    config = with_overrides(config_at(arguments.config), None, arguments.workspace, None)
    url = getattr(arguments, "url", None)
    if url is None:
        return config
    try:
        annotation = dataclasses.replace(config.annotation, url=url)
    except ValueError as error:
        raise UsageError(f"command line, --{error}") from None
    return dataclasses.replace(config, annotation=annotation)


# The server --------------------------------------------------------------------------------------


def _start(arguments: argparse.Namespace, config: Any) -> tuple[dict[str, Any], str]:
    if config.annotation.url:
        raise UsageError(
            "[annotation] url: found the address of a server of your own, which `start` leaves "
            "alone; run `occlufer annotate push`"
        )
    serving = import_module("occlufer.annotation.server.server")
    former = serving.former_port(config.workspace)
    server = serving.start(config.workspace)
    due = import_module("occlufer.annotation.status").due_after_start(config)
    value = {
        "url": server.connection.url,
        "invite": server.invite,
        "credentials": str(server.credentials),
        "log": str(server.log),
    }
    lines = [
        f"Label Studio runs at {value['url']}",
        f"  your name and password are in {value['credentials']}",
        f"  raters sign up, on this machine, at {value['invite']}",
        f"  its log is {value['log']}",
        "it runs until `occlufer annotate stop`",
        f"next: {due}",
    ]
    if former is not None and not value["url"].endswith(f":{former}"):
        lines[1:1] = [
            f"  its address has changed, another program has its port {former}: tell the raters,"
            " bookmarks and invites lead astray"
        ]
    return value, "\n".join(lines)


def _stop(arguments: argparse.Namespace, config: Any) -> tuple[dict[str, Any], str]:
    stopped = import_module("occlufer.annotation.server.server").stop(config.workspace)
    text = "stopped; what it holds is kept" if stopped else "no server of this workspace runs"
    return {"stopped": stopped}, text


# Tasks and answers -------------------------------------------------------------------------------


def _push(arguments: argparse.Namespace, config: Any) -> tuple[dict[str, Any], str]:
    _check_asks_people(config)
    push = import_module("occlufer.annotation.push").push
    summary = push(config, dry_run=arguments.dry_run)
    return summary.to_json(), f"{summary}\n{_after(arguments)}"


def _adjudicate(arguments: argparse.Namespace, config: Any) -> tuple[dict[str, Any], str]:
    _check_asks_people(config)
    adjudicate = import_module("occlufer.annotation.adjudication").adjudicate
    summary = adjudicate(config, dry_run=arguments.dry_run)
    told = [str(summary), _after(arguments)] if summary.sent else [str(summary)]
    return summary.to_json(), "\n".join(told)


def _check_asks_people(config: Any) -> None:
    if config.labels != "label_studio":
        raise UsageError(
            f'labels: found "{config.labels}", which asks nobody; write labels = "label_studio" '
            "at the top of the config, before any [table]"
        )


def _after(arguments: argparse.Namespace) -> str:
    if arguments.dry_run:
        return "nothing was sent; without --dry-run it is"
    return "next: when people have answered, run `occlufer annotate pull`"


def _pull(arguments: argparse.Namespace, config: Any) -> tuple[dict[str, Any], str]:
    summary = import_module("occlufer.annotation.pull").pull(config, full=arguments.full)
    return summary.to_json(), f"{summary}\nnext: run `occlufer annotate status`"


def _status(arguments: argparse.Namespace, config: Any) -> tuple[dict[str, Any], str]:
    status = import_module("occlufer.annotation.status").status(config)
    text: str = import_module("occlufer.annotation.status_text").status_text(status)
    return status.to_json(), text


ACTIONS = {
    "start": Action(
        "Start the labelling server of the workspace",
        (),
        _start,
        "no server was left running, and what it holds is kept; run the same command again",
    ),
    "stop": Action("Stop that server", (), _stop, "it may still run, run the same command again"),
    "push": Action(
        "Send the samples that need people",
        ("--url", "--dry-run"),
        _push,
        "what was sent is kept, the same command sends the rest",
    ),
    "pull": Action(
        "Fetch what people have answered",
        ("--url", "--full"),
        _pull,
        "what was fetched is kept, the same command fetches the rest",
    ),
    "status": Action(
        "Say how far the labelling is, how well raters agree, and how each one answers",
        (),
        _status,
        "nothing was written",
    ),
    "adjudicate": Action(
        "Send the samples on which raters differ to people who decide",
        ("--url", "--dry-run"),
        _adjudicate,
        "what was sent is kept, the same command sends the rest",
    ),
}
