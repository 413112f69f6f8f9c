"""The command `occlufer doctor`: says what of this machine occlufer finds, and what is missing."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

from occlufer.errors import MissingError
from occlufer.version import __version__

SUMMARY = "Say what of this machine is found, and what is missing"

MARKS = {"ok": "ok", "optional": "--", "missing": "!!"}
# A build of a million faces at 224 px takes some 30 GB; less than this and a demo may not fit.
LEAST_FREE_GB = 5


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    state: str
    """"ok", "optional" for what is not there and not always needed, or "missing"."""
    told: str
    """What was found, and what to do where something was not."""


Look = Callable[[Path | None], Iterator[Finding]]
"""Takes the config's path."""


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    command.add_argument("--config", type=Path, help="as for build: folders of weights and work")
    command.add_argument("--json", action="store_true", help="print one JSON list")
    command.set_defaults(going_on="nothing was written")


def run(arguments: argparse.Namespace) -> None:
    """Print what was found; raise MissingError if something is missing that every build needs."""
    found = [one for look in LOOKS for one in _looked(look, arguments.config)]
    if arguments.json:
        print(json.dumps([asdict(one) for one in found]))
    else:
        for one in found:
            print(f"{MARKS[one.state]:3}{one.name:14} {one.told}")
    missing = [one for one in found if one.state == "missing"]
    if missing:
        raise MissingError("; ".join(f"{one.name}: {one.told}" for one in missing))


def _looked(look: Look, config: Path | None) -> Iterator[Finding]:
    """Yield what a look finds; a package that it lacks is a finding, too."""
    try:
        yield from look(config)
    except ImportError as error:
        yield Finding(look.__name__[1:], "missing", f"found no package {error.name}")


def _program(config: Path | None) -> Iterator[Finding]:
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors"
    yield Finding("occlufer", "ok", f"{__version__}, Python {platform.python_version()}, {system}")


def _packages(config: Path | None) -> Iterator[Finding]:
    """Yield what is installed of what occlufer requires."""
    from packaging.requirements import Requirement

    wrong, versions = [], []
    for text in importlib.metadata.requires("occlufer") or []:
        wanted = Requirement(text)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(wanted.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{wanted.name}: found none, expected {wanted.specifier}")
            continue
        versions.append(f"{wanted.name} {version}")
        if not wanted.specifier.contains(re.sub(r"\+.*", "", version), prereleases=True):
            wrong.append(f"{wanted.name}: found {version}, expected {wanted.specifier}")
    yield Finding("packages", "missing" if wrong else "ok", ", ".join(wrong or versions))


def _device(config: Path | None) -> Iterator[Finding]:
    """Yield what a training takes with `--device auto`."""
    torch = import_module("torch")
    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 1e9
        yield Finding("device", "ok", f"{torch.cuda.get_device_name(0)}, {memory:.0f} GB")
    elif torch.backends.mps.is_available():
        yield Finding("device", "ok", "mps")
    else:
        told = f"no GPU: the processor, {torch.get_num_threads()} threads, the preset demo alone"
        yield Finding("device", "optional", told)


def _weights(config: Path | None) -> Iterator[Finding]:
    """Yield which weights are there; all of them are optional."""
    folder = import_module("occlufer.config_file").config_at(config).weights_dir
    pulled = import_module("occlufer.builders.weights")
    by_hand = import_module("occlufer.builders.weights_by_hand")
    for one in pulled.listed(folder):
        if one.state == "there":
            yield Finding(one.name, "ok", str(one.path))
        else:
            how = f"`{pulled.pull_command(one.name, folder)}`"
            yield Finding(one.name, "optional", f"{one.fault or 'not there'}: {how}")
    for name in by_hand.BY_HAND:
        path = by_hand.find_by_hand(name, folder)
        told = "not there, `occlufer weights list` says where to ask" if path is None else str(path)
        yield Finding(name, "optional" if path is None else "ok", told)


def _disk(config: Path | None) -> Iterator[Finding]:
    """Yield how much is free where a build writes, and where Hugging Face keeps its caches."""
    workspace = import_module("occlufer.config_file").config_at(config).workspace
    caches = import_module("huggingface_hub.constants").HF_HOME
    for name, path in (("workspace", Path(workspace)), ("HF cache", Path(caches))):
        place = next(one for one in (path.absolute(), *path.absolute().parents) if one.exists())
        free = shutil.disk_usage(place).free / 1e9
        writable = os.access(place, os.W_OK)
        told = f"{path}, {free:.0f} GB free"
        if not writable:
            yield Finding(name, "missing", f"{path}: {place} cannot be written to")
        else:
            yield Finding(name, "ok" if free > LEAST_FREE_GB else "optional", told)


def _label_studio(config: Path | None) -> Iterator[Finding]:
    """Yield whether people can label at once, or a server has to be installed first."""
    installation = import_module("occlufer.annotation.server.installation")
    named = os.environ.get(installation.VARIABLE)
    workspace = import_module("occlufer.config_file").config_at(config).workspace
    own = import_module("occlufer.annotation.server.place").Place(workspace).environment
    folder = Path(named).expanduser() if named else own
    version = installation.installed_version(folder)
    if version is None:
        told = "not installed: `occlufer annotate start` installs it, 1 GB, once for a workspace"
        yield Finding("Label Studio", "optional", told)
    else:
        right = version == installation.VERSION
        told = f"{version} in {folder}" + ("" if right else f", expected {installation.VERSION}")
        yield Finding("Label Studio", "ok" if right else "optional", told)


def _chromium(config: Path | None) -> Iterator[Finding]:
    """Yield whether the labelling page can be tested in a browser; no command needs one."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    told = "not there; no command needs it, only the tests in a browser: `make browser`"
    yield Finding("chromium", "ok" if found else "optional", found or told)


LOOKS: tuple[Look, ...] = (
    *(_program, _packages, _device, _weights, _disk, _label_studio, _chromium),
)
