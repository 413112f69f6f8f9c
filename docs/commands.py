"""Write commands.md beside this file: the command line, out of its own parser.

`python docs/commands.py`, or `make docs`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from occlufer.cli import EXIT_CODES, command_line

PAGE = Path(__file__).with_suffix(".md")
BEGIN = "<!-- made by docs/commands.py: change the command line, then run `make docs` -->"
# argparse's own, the same everywhere.
LEFT_OUT = ("help", "version")
Parser = argparse.ArgumentParser


def written(page: str) -> str:
    """Return the page with all behind BEGIN made anew; what a person wrote before it stays."""
    return "\n".join([page.partition(BEGIN)[0] + BEGIN, "", *reference(command_line()), ""])


def reference(whole: Parser) -> Iterator[str]:
    """Yield the lines about every command."""
    yield from ("## Exit status", "", "| status | what |", "| --- | --- |")
    for line in EXIT_CODES.splitlines()[1:]:
        status, _, what = line.strip().partition(" ")
        yield row(status, what.strip())
    for name, (summary, command) in actions(whole).items():
        yield from ("", f"## occlufer {name}", "", f"{summary}.")
        yield from arguments(command)
        for action, (summary, inner) in actions(command).items():
            yield from ("", f"### occlufer {name} {action}", "")
            yield f"{summary[:1].upper()}{summary[1:]}."
            yield from arguments(inner)


def actions(command: Parser) -> dict[str, tuple[str, Parser]]:
    """Return {name: (summary, parser)} of the commands within a command, in their order."""
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            summaries = [choice.help or "" for choice in action._choices_actions]
            pairs = zip(action.choices.items(), summaries, strict=True)
            return {name: (summary, inner) for (name, inner), summary in pairs}
    return {}


def arguments(command: Parser) -> Iterator[str]:
    """Yield the table of what a command takes, or nothing if it takes nothing."""
    taken = [
        action
        for action in command._actions
        if action.dest not in LEFT_OUT and not isinstance(action, argparse._SubParsersAction)
    ]
    if taken:
        yield from ("", "| argument | what |", "| --- | --- |")
        yield from (row(f"`{spelled(action)}`", said(action)) for action in taken)


def spelled(action: argparse.Action) -> str:
    """Return how an argument is written, e.g. `--leaks fail|drop|report`, `FOLDER ...`."""
    word = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    if action.choices is not None:
        word = "|".join(map(str, action.choices))
    many = {"*": f"[{word} ...]", "+": f"{word} ...", "?": f"[{word}]", 0: ""}
    value = many.get(action.nargs or "", word) if action.nargs != 0 else ""
    return " ".join(part for part in ("/".join(action.option_strings), value) if part)


def said(action: argparse.Action) -> str:
    """Return what is told of an argument, and its default where the help does not say it."""
    told = action.help or ""
    default = action.default
    if default in (None, False, "", []) or "default" in told or action.nargs in ("*", 0):
        return told
    return f"{told} (default: {default})" if told else f"default: {default}"


def row(*cells: str) -> str:
    """Return a row of a table; a bar within a cell would end it."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
