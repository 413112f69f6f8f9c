"""The code blocks of a page of the documentation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SHELLS = ("sh", "console")


@dataclass(frozen=True)
class Block:
    """One block."""

    language: str
    text: str


@dataclass(frozen=True)
class Said:
    """A command, and the lines that a page quotes of what it says."""

    command: str
    quoted: tuple[str, ...]


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page, in order."""
    return [Block(*found) for found in BLOCK.findall(page.read_text(encoding="utf-8"))]


def dialogue(text: str) -> list[Said]:
    """Return the commands of a block, the lines after "$ ", with what is quoted below each."""
    found: list[Said] = []
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *quoted = part.splitlines()
        found.append(Said(command, tuple(line for line in quoted if line.strip())))
    return found


def commands(block: Block) -> list[str]:
    """Return the command lines of a shell's block, without comments."""
    if block.text.startswith("$ "):
        return [said.command for said in dialogue(block.text)]
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in block.text.splitlines())
    return [line for line in lines if line]


def says(quoted: str, line: str) -> bool:
    """Return whether a line begins as it is quoted; "..." stands for anything."""
    words = map(re.escape, quoted.split("..."))
    return re.match(".*".join(words), line) is not None
