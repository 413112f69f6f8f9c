"""The command `occlufer completion`: writes the script by which a shell completes."""

from __future__ import annotations

import argparse

SUMMARY = "Write the script by which a shell completes these commands"


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    command.add_argument("shell", choices=("bash", "zsh", "fish"), help="which one is to complete")


def run(arguments: argparse.Namespace) -> None:
    """Print the script."""
    from occlufer.cli import command_line
    from occlufer.completion import script

    print(script(command_line(), arguments.shell), end="")
