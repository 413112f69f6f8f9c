"""Completion: what a shell offers at the Tab key, as a script made of the command's parsers."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

# `at` is the commands that were given, each after a space; an option's value, where it is none of
# a choice, and a file that a command takes are left to the shell: it knows what lies there.
BASH = """\
_occlufer() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} at offered flags i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "$at ${COMP_WORDS[i]}" in
            @PATHS@) at="$at ${COMP_WORDS[i]}" ;;
        esac
    done
    case "$at" in
@WORDS@
    esac
    [[ $word == -* ]] && offered=$flags
    case "$at $before" in
@VALUES@
    esac
    COMPREPLY=($(compgen -W "$offered" -- "$word"))
}
complete -o default -F _occlufer occlufer
"""
# zsh reads bash's completions; in it `path`, `words` and `options` are its own.
ZSH = """\
(( $+functions[compdef] )) || { autoload -U compinit && compinit }
autoload -U bashcompinit && bashcompinit
"""
FISH = """\
function __occlufer_at
    set -l path ''
    for word in (commandline -opc)[2..-1]
        contains -- "$path $word" @PATHS@; and set path "$path $word"
    end
    test "$path" = "$argv[1]"
end
"""


@dataclass(frozen=True)
class Place:
    """What can stand after one command, or after none."""

    path: str
    """The commands that were given, each after a space."""
    names: dict[str, str]
    """{command or choice: help}"""
    options: list[argparse.Action]
    takes_files: bool
    """Whether what stands there may also be of the user's own: a file, or a name."""

    @property
    def flags(self) -> list[str]:
        """The options as they are written in full."""
        every = (flag for option in self.options for flag in option.option_strings)
        return [flag for flag in every if flag.startswith("--")]


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """Return the script for one of SHELLS, which completes commands, options and choices."""
    return SHELLS[shell](list(places(parser)))


def places(parser: argparse.ArgumentParser, path: str = "") -> Iterator[Place]:
    """Yield what can stand after the parser's command and after each command below it."""
    names: dict[str, str] = {}
    options, takes_files = [], False
    inner: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:
        if action.option_strings:
            options.append(action)
        elif isinstance(action, argparse._SubParsersAction):
            inner = action.choices
            names |= {one.dest: one.help or "" for one in action._choices_actions}
        elif action.choices is None:
            takes_files = True
        else:
            names |= {str(choice): "" for choice in action.choices}
    yield Place(path, names, options, takes_files)
    for name, command in inner.items():
        yield from places(command, f"{path} {name}")


def values(option: argparse.Action) -> list[str] | None:
    """Return the choices of an option's value, none if it is free, None if it takes no value."""
    return None if option.nargs == 0 else [str(choice) for choice in option.choices or ()]


def bash(found: list[Place]) -> str:
    """Return the script for bash."""
    words, chosen = [], []
    for place in found:
        names = "$flags" if not place.names and not place.takes_files else " ".join(place.names)
        told = f"flags='{' '.join(place.flags)}' offered=\"{names}\""
        words.append(f"        {shlex.quote(place.path)}) {told} ;;")
        for option in place.options:
            choices = values(option)
            if choices is not None:
                at = "|".join(shlex.quote(f"{place.path} {f}") for f in option.option_strings)
                chosen.append(f"        {at}) offered='{' '.join(choices)}' ;;")
    filled = {"PATHS": _paths(found, "|"), "WORDS": "\n".join(words), "VALUES": "\n".join(chosen)}
    return _filled(BASH, filled)


def zsh(found: list[Place]) -> str:
    """Return the script for zsh."""
    return ZSH + bash(found)


def fish(found: list[Place]) -> str:
    """Return the script for fish, which shows what each word is for."""
    lines = []
    for place in found:
        start = f"complete -c occlufer -n {_quoted(f'__occlufer_at {_quoted(place.path)}')}"
        if not place.takes_files:
            lines.append(f"{start} -f")
        lines += [f"{start} -a {name} -d {_quoted(told)}" for name, told in place.names.items()]
        lines += [f"{start} {_fish_option(option)}" for option in place.options]
    return _filled(FISH, {"PATHS": _paths(found, " ")}) + "\n".join(lines) + "\n"


def _fish_option(option: argparse.Action) -> str:
    flags = [f"-l {f[2:]}" if f.startswith("--") else f"-s {f[1:]}" for f in option.option_strings]
    choices = values(option)
    if choices:
        flags.append(f"-x -a {_quoted(' '.join(choices))}")
    elif choices is not None:
        flags.append("-r -F")
    return " ".join([*flags, "-d", _quoted(option.help or "")])


def _paths(found: list[Place], between: str) -> str:
    return between.join(shlex.quote(place.path) for place in found if place.path)


def _filled(script: str, filled: dict[str, str]) -> str:
    for name, text in filled.items():
        script = script.replace(f"@{name}@", text)
    return script


def _quoted(text: str) -> str:
    """Return the text as one word of fish."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


SHELLS = {"bash": bash, "zsh": zsh, "fish": fish}
