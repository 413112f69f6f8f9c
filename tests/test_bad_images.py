"""Bad images, of more than two hundred kinds, by every door that a file can come in by.

See bad_images.py for the kinds. Whatever comes in ends as a picture that is right, or as a reject
with its reason: nothing crashes, hangs, or takes more memory than was reckoned with.
"""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bad_bytes import jpeg, png, saved
from bad_images import KINDS, Bad, Good, Odd, place_of, texture, write
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from occlufer.builders.pixels import BadImageError, decode_rgb
from occlufer.builders.sources.files import name_of, walk

# Against a hang; nothing here takes a tenth of it.
LIMIT_S = 500
# Two workers, each with a picture of 64 million pixels in four bytes five times over (the picture,
# white beneath it, both together, without transparency, as an array), and Python with torch.
MOST_BYTES = 2 * 5 * 4 * 64_000_000 + 700_000_000
CONFIG = """
workers = 2
[[sources]]
kind = "image_folder"
name = "bad"
path = "faces"
licence = "CC0-1.0"
"""


@dataclass(frozen=True)
class Ended:
    """A process that came to its end by itself."""

    status: int
    out: str
    err: str
    peak_bytes: int


def ended(*arguments: object, cwd: Path) -> Ended:
    """Run occlufer; fails if it does not end, or ends by a traceback."""
    files = cwd / "stdout", cwd / "stderr"
    with files[0].open("wb") as out, files[1].open("wb") as err:
        command = [sys.executable, "-m", "occlufer.cli", *map(str, arguments)]
        process = subprocess.Popen(
            command, cwd=cwd, stdout=out, stderr=err, stdin=subprocess.DEVNULL
        )
        usage = _waited(process)
    told = [file.read_text(encoding="utf-8", errors="replace") for file in files]
    assert "Traceback" not in told[1], told[1][-2000:]
    assert "Warning" not in told[1], told[1][-2000:]
    unit = 1 if sys.platform == "darwin" else 1024
    return Ended(process.returncode, told[0], told[1], usage.ru_maxrss * unit)


def _waited(process: subprocess.Popen[bytes]) -> Any:
    """What the process used; `wait4` knows it, `subprocess` does not ask."""
    deadline = time.monotonic() + LIMIT_S
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return usage
        if time.monotonic() > deadline:
            process.kill()
            process.wait()
            pytest.fail(f"still running after {LIMIT_S} s: {process.args!r}")
        time.sleep(0.1)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all kinds in `faces/`, which nobody changes, and a config that names it."""
    folder = tmp_path_factory.mktemp("bad_images")
    write(folder / "faces")
    (folder / "occlufer.toml").write_text(CONFIG)
    return folder


@dataclass(frozen=True)
class Account:
    """What a build made of the files, by their places."""

    build: Ended
    summary: dict[str, Any]
    published: dict[str, dict[str, Any]]
    rejected: dict[str, str]


@pytest.fixture(scope="session")
def account(home: Path, rows_of: Callable[[Path], dict[str, list[dict[str, Any]]]]) -> Account:
    done = ended("build", "--json", cwd=home)
    assert done.status == 0, done.err
    summary = json.loads(done.out)
    published = {
        row["source_id"]: row for rows in rows_of(Path(summary["out"])).values() for row in rows
    }
    with Path(summary["rejected_list"]).open(encoding="utf-8", newline="") as file:
        listed = list(csv.DictReader(file))
    rejected = {row["record"].removeprefix("bad/"): row["reason"] for row in listed}
    assert all(row["detail"] for row in listed)
    return Account(done, summary, published, rejected)


def of_type(wanted: type) -> list[str]:
    return [name for name, kind in KINDS.items() if isinstance(kind, wanted)]


def told_as(name: str) -> str:
    return str(name_of(Path(place_of(name))))


def test_there_are_as_many_kinds_as_were_asked_for() -> None:
    assert len(KINDS) >= 60
    assert len({told_as(name) for name in KINDS}) == len(KINDS)


@pytest.mark.parametrize("name", of_type(Good), ids=ascii)
def test_a_right_picture_is_published_as_it_is_to_be_seen(account: Account, name: str) -> None:
    kind = KINDS[name]
    assert isinstance(kind, Good)
    assert account.rejected.get(told_as(name)) is None
    # As anybody reads it who knows nothing of EXIF, transparency and deep greys.
    with Image.open(io.BytesIO(account.published[told_as(name)]["image"]["bytes"])) as image:
        found = np.asarray(image.convert("RGB"))
    expected = np.asarray(kind.shows(texture(name, kind.width, kind.height)))
    assert found.shape == expected.shape
    if kind.off:
        assert np.abs(found - expected.astype(float)).mean() <= kind.off
    else:
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("name", of_type(Bad), ids=ascii)
def test_a_wrong_file_is_left_out_for_its_reason(account: Account, name: str) -> None:
    kind = KINDS[name]
    assert isinstance(kind, Bad)
    assert account.rejected[told_as(name)] == kind.reason
    assert told_as(name) not in account.published


@pytest.mark.parametrize("name", of_type(Odd), ids=ascii)
def test_what_is_no_file_is_left_out_or_not_listed(account: Account, name: str) -> None:
    kind = KINDS[name]
    assert isinstance(kind, Odd)
    assert account.rejected.get(told_as(name)) == kind.reason
    assert told_as(name) not in account.published


def test_every_file_is_accounted_for_once(account: Account, home: Path) -> None:
    summary = account.summary
    files = {name_of(path.relative_to(home / "faces")) for path in walk(home / "faces")}
    assert summary["files_read"] == len(files)
    assert summary["files_read"] == (
        summary["published"] + sum(summary["rejected"].values()) + summary["unlabelled"]
    )
    assert files == account.published.keys() | account.rejected.keys()
    assert not account.published.keys() & account.rejected.keys()


def test_a_build_of_them_keeps_within_the_memory_reckoned_with(account: Account) -> None:
    assert account.build.peak_bytes <= MOST_BYTES


def test_what_is_published_of_them_is_found_right(account: Account, home: Path) -> None:
    done = ended("verify", account.summary["out"], cwd=home)
    assert done.status == 0, done.out + done.err


# Other doors --------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def light(home: Path) -> Path:
    """All kinds but those that take seconds to decode, for which one door is enough."""
    folder = home / "light"
    folder.mkdir()
    write(folder / "faces", {name: kind for name, kind in KINDS.items() if "8000" not in name})
    return folder


def test_they_are_inspected_each_in_its_line(light: Path) -> None:
    paths = [*light.glob("faces/*/*"), light / "faces"]
    done = ended("inspect", "--json", *(path.relative_to(light) for path in paths), cwd=light)
    assert done.status == 0, done.err
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert len(lines) == len(paths)
    assert sum("faces" in line for line in lines) >= len(of_type(Good))


def test_a_page_of_them_is_no_script(light: Path) -> None:
    paths = [path for path in light.glob("faces/*/*") if "<script>" in path.name]
    assert paths
    done = ended("inspect", "--out", "page.html", *paths, light / "gone", cwd=light)
    assert done.status == 0, done.err
    assert "alert(1)<script>" not in (light / "page.html").read_text(encoding="utf-8")


def test_duplicates_among_them_are_searched(light: Path) -> None:
    done = ended("dedup", "--json", "faces", cwd=light)
    assert done.status == 0, done.err
    rejected = json.loads(done.out)["rejected"]
    assert not {told_as(name) for name in of_type(Good)} & {row["path"] for row in rejected}


def test_they_are_registered_as_a_test_set(light: Path) -> None:
    done = ended("leaks", "register", "bad", "faces", cwd=light)
    assert done.status == 0, done.err
    assert "odd-loop.jpg: unreadable" in done.err


@pytest.mark.parametrize("name", ["odd-pipe.jpg", "odd-loop.jpg", "odd-sparse-of-4-gb.jpg"])
def test_what_is_no_picture_cannot_be_taken_down(light: Path, name: str) -> None:
    done = ended("takedown", "add", light / "faces" / place_of(name), cwd=light)
    assert done.status == 2, done.err
    assert name in done.err


def table_config(name: str, images: str = "") -> str:
    return (
        f'workers = 2\n[[sources]]\nkind = "table"\npath = "{name}"\n{images}licence = "CC0-1.0"\n'
    )


def test_a_table_may_name_them(light: Path) -> None:
    folder = light / "table"
    folder.mkdir()
    names = [
        *(path.relative_to(light / "faces").as_posix() for path in walk(light / "faces")),
        *("gone.jpg", "../outside.png", "/dev/zero", "happiness", "a\0b.png", "", "http://x/a.jpg"),
    ]
    with (folder / "faces.csv").open("w", newline="", errors="surrogateescape") as file:
        csv.writer(file).writerows([("image", "label"), *((name, "happy") for name in names)])
    (folder / "occlufer.toml").write_text(table_config("faces.csv", 'images = "../faces"\n'))
    done = ended("build", "--json", cwd=folder)
    assert done.status == 0, done.err
    summary = json.loads(done.out)
    # Names of several lines are several rows: whoever writes such tables loses them, and is told.
    assert summary["files_read"] >= len(names)
    assert summary["published"] >= len(of_type(Good)) - 3
    assert summary["rejected"]["not_a_file"] >= 4


def test_a_table_may_hold_them(light: Path) -> None:
    folder = light / "parquet"
    folder.mkdir()
    held = [
        path.read_bytes()
        for path in walk(light / "faces")
        if path.is_file() and not path.is_symlink() and path.stat().st_size < 1 << 30
    ]
    pictures = pa.array([{"bytes": data, "path": None} for data in held])
    table = pa.table({"image": pictures, "label": ["happy"] * len(held)})
    pq.write_table(table, folder / "faces.parquet")
    (folder / "occlufer.toml").write_text(table_config("faces.parquet"))
    done = ended("build", "--json", cwd=folder)
    assert done.status == 0, done.err
    summary = json.loads(done.out)
    assert summary["files_read"] == len(held)
    assert summary["published"] == len(of_type(Good))


# Damage of any kind -------------------------------------------------------------------------------

SOUND: dict[str, Callable[[NDArray[np.uint8]], bytes]] = {
    "jpeg": lambda pixels: jpeg(pixels),
    "jpeg-progressive": lambda pixels: jpeg(pixels, progressive=True),
    "png": lambda pixels: png(pixels),
    "png-palette": lambda pixels: saved(Image.fromarray(pixels).quantize(16), "PNG"),
    "png-animated": lambda pixels: saved(
        pixels, "PNG", save_all=True, append_images=[Image.fromarray(pixels[::-1])]
    ),
    "webp": lambda pixels: saved(pixels, "WEBP"),
    "webp-lossless": lambda pixels: saved(pixels, "WEBP", lossless=True),
    "gif": lambda pixels: saved(pixels, "GIF"),
    "bmp": lambda pixels: saved(pixels, "BMP"),
}
FILES = {name: make(texture(name, 24, 20)) for name, make in SOUND.items()}


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A sound file with bytes turned, cut out, put in, or said twice, at any place."""
    data = bytearray(FILES[draw(st.sampled_from(sorted(FILES)))])
    for _ in range(draw(st.integers(1, 4))):
        # Heads are short, and most of what can go wrong stands in them.
        most = draw(st.sampled_from([64, 700, len(data)]))
        begin = draw(st.integers(0, min(most, len(data) - 1)))
        end = min(begin + draw(st.integers(1, 40)), len(data))
        how = draw(st.sampled_from(["turn", "cut", "insert", "repeat", "end"]))
        if how == "turn":
            data[begin] ^= draw(st.integers(1, 255))
        elif how == "cut":
            del data[begin:end]
        elif how == "insert":
            data[begin:begin] = draw(st.binary(min_size=1, max_size=12))
        elif how == "repeat":
            data[begin:begin] = data[begin:end]
        else:
            del data[begin + 1 :]
        if len(data) < 2:
            break
    return bytes(data)


def outcome(data: bytes) -> NDArray[np.uint8] | BadImageError:
    try:
        pixels: NDArray[np.uint8] = decode_rgb(data)
        return pixels
    except BadImageError as error:
        return error


@settings(max_examples=400)
@given(damaged())
def test_damage_of_any_kind_gives_a_picture_or_a_reason(data: bytes) -> None:
    found = outcome(data)
    if isinstance(found, BadImageError):
        assert found.reject.reason
        assert "\n" not in found.reject.detail
    else:
        height, width, channels = found.shape
        assert (found.dtype, channels) == (np.uint8, 3)
        assert 16 * 16 <= height * width <= 64_000_000
