"""The shape of the repository: what ships, and who imports whom."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("builders", "annotation", "orsanet")
SHIPPED = (".py", ".md", ".typed", ".safetensors", ".tsv")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]
# Where each folder lies in the wheel.
PLACES = {"occlufer": "occlufer", "cards": "occlufer/cards"} | {p: f"occlufer/{p}" for p in PARTS}


def tracked() -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no git checkout")
    return [ROOT / name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def test_every_installed_folder_is_a_package_that_is_shipped() -> None:
    folders = {path.parent for folder in PLACES for path in modules(folder)}
    assert all((folder / "__init__.py").is_file() for folder in folders)
    inner = {folder.relative_to(ROOT).as_posix() for folder in folders}
    names = {
        "/".join([PLACES[path.split("/")[0]], *path.split("/")[1:]]).replace("/", ".")
        for path in inner
    }
    assert set(SETUPTOOLS["packages"]) == names
    assert SETUPTOOLS["package-dir"] == {
        f"occlufer.{folder}": folder for folder in PLACES if folder != "occlufer"
    }


def test_the_wheel_holds_the_repository_s_modules_and_no_other(tmp_path: Path) -> None:
    # From a copy: what a build leaves beside the sources would be found by the next one.
    source = tmp_path / "source"
    wanted = ("pyproject.toml", "README.md", "LICENSE", *PLACES)
    for path in tracked():
        inner = path.relative_to(ROOT)
        if inner.parts[0] in wanted:
            (source / inner).parent.mkdir(parents=True, exist_ok=True)
            (source / inner).write_bytes(path.read_bytes())
    pytest.importorskip("setuptools", minversion="77", reason="the build needs setuptools >= 77")
    options = ["--no-deps", "--no-build-isolation", "--quiet", "--no-index"]
    command = [sys.executable, "-m", "pip", "wheel", *options, "-w", str(tmp_path), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    shipped = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = {
        f"{PLACES[folder]}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder in PLACES
        for path in tracked()
        if path.is_relative_to(ROOT / folder) and path.suffix in SHIPPED
    }
    assert shipped == expected
    assert {name.split("/")[0] for name in shipped} == {"occlufer"}


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (level, name) of every import; a relative one has a level above 0."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or ""
            if not node.level:
                yield from ((0, f"{node.module}.{alias.name}") for alias in node.names)


def part_of(name: str) -> str | None:
    """Return which part an absolute import names."""
    words = name.split(".")
    words = words[1:] if words[0] == "occlufer" else words
    return words[0] if words and words[0] in PARTS else None


@pytest.mark.parametrize("folder", ["occlufer", *PARTS])
def test_no_part_is_imported_by_the_core_or_by_another_part(folder: str) -> None:
    for path in modules(folder):
        depth = len(path.relative_to(ROOT / folder).parts)
        for level, name in imports(path):
            assert level <= depth, f"{path.name}: a relative import leaves {folder}/"
            if not level:
                found = part_of(name)
                assert found in ((None,) if folder == "occlufer" else (None, folder)), path.name


@pytest.mark.parametrize("part", ["occlufer", *PARTS])
def test_rooms_import_rooms_one_way(part: str) -> None:
    rooms = {path.name for path in (ROOT / part).iterdir() if (path / "__init__.py").is_file()}
    # Photographs are a source, and addresses are read from tables as a source reads them.
    as_one = {"web": "sources"}
    asked: dict[str, set[str]] = {}
    for path in modules(part):
        here = path.relative_to(ROOT / part).parent.parts
        if here:
            found = {room_of(here, level, name) for level, name in imports(path)}
            asked.setdefault(as_one.get(here[0], here[0]), set()).update(
                as_one.get(room, room) for room in found & rooms
            )
    others = {room: found - {room} for room, found in asked.items()}
    assert set(TopologicalSorter(others).static_order()) == {*others}, others


def room_of(here: tuple[str, ...], level: int, name: str) -> str:
    """Return the first word below its part, or below the core, of an import from `here`."""
    if not level:
        return name.removeprefix("occlufer.").split(".")[0] if name.startswith("occlufer.") else ""
    return (*here[: len(here) - level + 1], *name.split("."))[0]


@pytest.mark.parametrize("folder", [*PLACES, "tests", "benchmarks"])
def test_no_part_is_imported_by_its_folder_s_name(folder: str) -> None:
    for path in modules(folder):
        for level, name in imports(path):
            assert level or name.split(".")[0] not in PARTS, f"{path.name}: import {name}"


@pytest.mark.parametrize(
    ("folder", "allowed"),
    [
        # These need the standard library alone, face_parser numpy too.
        (
            "orsanet",
            {
                f"occlufer.{name}"
                for name in (
                    *("schema", "scope", "errors", "progress", "lock", "digest", "face_parser"),
                )
            },
        ),
        ("cards", set()),
    ],
)
def test_a_part_that_runs_alone_imports_little_of_the_core(folder: str, allowed: set[str]) -> None:
    for path in modules(folder):
        # At the top of a module: inside functions the data may be loaded with more.
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("occlufer"):
                assert node.module in allowed, path.name


def test_the_core_imports_nothing_heavy_at_its_top() -> None:
    allowed = {"numpy", "pandas", "PIL", "occlufer", "tomli", "tqdm"} | sys.stdlib_module_names
    for path in modules("occlufer"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom) and node.col_offset == 0:
                names = (
                    [alias.name for alias in node.names]
                    if isinstance(node, ast.Import)
                    else [node.module or ""]
                )
                for name in names:
                    assert name.split(".")[0] in allowed, f"{path.name}: import {name}"


# Homes and working folders of people and machines, and hosts that only they reach.
PRIVATE = re.compile(
    r"(?<![\w.])/(?:home|Users|root|work|mnt)/\w"
    r"|--(?:extra-)?index-url|index-url\s*="
    r"|https?://(?:localhost|\d+\.\d+\.\d+\.\d+|[\w.-]*(?:artifactory|nexus|\.internal|\.local))\b"
)


def test_no_tracked_text_names_a_place_of_one_machine() -> None:
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        if path == Path(__file__):
            continue  # the words that are looked for
        found = PRIVATE.search(text)
        assert found is None, f"{path.relative_to(ROOT)}: {found and found.group()}"


def test_no_tracked_file_is_large() -> None:
    for path in tracked():
        # The one file of weights, which are our own.
        largest = 5_000_000 if path == ROOT / "builders/parser/weights.safetensors" else 500_000
        assert path.stat().st_size <= largest, path.relative_to(ROOT)


def test_tests_are_found_without_a_package() -> None:
    assert not (ROOT / "tests" / "__init__.py").exists()


def test_the_hooks_before_a_commit_are_the_commands_of_make_check() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"^check:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    commands = [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe.splitlines()]
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert re.findall(r"^ +entry: (.*)$", hooks, re.MULTILINE) == commands
    assert re.findall(r"repo: (.*)$", hooks, re.MULTILINE) == ["local"]  # nothing is fetched
