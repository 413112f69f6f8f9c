"""What is damaged is named or made anew: the catalog page by page, the index, images, shards.

A build after the damage gives what an undisturbed one gives, or one line that says what is damaged
and what to do; whoever does it has the undisturbed result.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from faults import CONFIG, FULL, dice, outcome, put_back, told
from forked import Ended, Forks, Within, forks

from occlufer.errors import GateError
from occlufer.loading import load_dataset
from occlufer.lock import LOCK_NAME, Lock

PAGE = 4096
CATALOG = ".occlufer/catalog.sqlite"
INDEX = ".occlufer/dedup"
WAY_OUT = "move it away and build again, the images beside it are kept"

Damage = Callable[[bytes, random.Random], bytes]
DAMAGES: dict[str, Damage] = {
    "one-bit": lambda data, drawn: _with_a_bit(data, drawn.randrange(len(data))),
    "cut": lambda data, drawn: data[: drawn.randrange(1, len(data))],
    "emptied": lambda data, drawn: b"",
    "zeros": lambda data, drawn: bytes(len(data)),
    "another-file": lambda data, drawn: b"\x89PNG\r\n\x1a\n" + drawn.randbytes(5000),
}
FILLINGS: dict[str, Callable[[random.Random], bytes]] = {
    "zeros": lambda drawn: bytes(PAGE),
    "noise": lambda drawn: drawn.randbytes(PAGE),
}


def _with_a_bit(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :]


@dataclass(frozen=True)
class Built:
    """A folder for builds, what it may be before the damage, and what must come out."""

    folder: Path
    kept: Path
    forked: Forks
    undisturbed: dict[str, str]

    def begin(self, state: str) -> Path:
        """Let the folder be in a state that was kept, and return its catalog."""
        put_back(self.kept / state, self.folder)
        return self.folder / CATALOG

    def build(self) -> Ended:
        return self.forked.run(self.folder, "build")


# With "killed", of which SQLite's log of writes is still there, too.
STATES = ("unpublished", "halfway", "published")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    folder, kept = tmp_path_factory.mktemp("damaged"), tmp_path_factory.mktemp("kept")
    (folder / "occlufer.toml").write_text(CONFIG)
    with forks() as forked:
        killed = [Within("leaks", operation=1)]
        assert forked.run(folder, "build", within=killed).status < 0
        shutil.copytree(folder, kept / "killed")
        sqlite3.connect(folder / CATALOG).execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
        shutil.copytree(folder, kept / "halfway")
        assert forked.run(folder, "build").status == 0
        shutil.copytree(folder, kept / "published")
        undisturbed = outcome(folder)
        shutil.rmtree(folder / "occlu_fer")
        shutil.copytree(folder, kept / "unpublished")
        yield Built(folder, kept, forked, undisturbed)


def ends_well(built: Built) -> bool:
    """Build; return whether the result is that of an undisturbed build, else it says why not."""
    ended = built.build()
    if ended.status == 0:
        assert outcome(built.folder) == built.undisturbed
        return True
    line = told(ended.stderr)
    assert ended.status == 1, line
    assert line.startswith(f"{CATALOG}: the catalog cannot be read ("), line
    assert WAY_OUT in line
    return False


def follow_the_advice(built: Built) -> None:
    (built.folder / CATALOG).rename(built.folder / "moved_away")
    assert built.build().status == 0
    assert outcome(built.folder) == built.undisturbed


# The catalog --------------------------------------------------------------------------------------


@pytest.mark.parametrize("filling", FILLINGS)
@pytest.mark.parametrize("state", STATES)
def test_a_catalog_with_a_page_lost_gives_the_undisturbed_result_or_says_that_it_is_damaged(
    built: Built, state: str, filling: str
) -> None:
    drawn = dice(f"{state} {filling}")
    pages = built.begin(state).stat().st_size // PAGE
    chosen = range(pages) if FULL else sorted({0, pages - 1, drawn.randrange(1, pages - 1)})
    damaged = 0
    for page in chosen:
        with built.begin(state).open("r+b") as file:
            file.seek(page * PAGE)
            file.write(FILLINGS[filling](drawn))
        damaged += not ends_well(built)
    assert damaged
    built.begin(state).write_bytes(bytes(2 * PAGE))
    assert not ends_well(built)
    follow_the_advice(built)


CATALOGS: dict[str, Callable[[Path], object]] = {
    "wal-removed": lambda path: wal(path).unlink(),
    "wal-cut": lambda path: wal(path).write_bytes(wal(path).read_bytes()[:-5000]),
    "wal-noise": lambda path: wal(path).write_bytes(random.Random(1).randbytes(9000)),
    "shm-removed": lambda path: path.with_name(f"{path.name}-shm").unlink(),
    "header-cut": lambda path: path.write_bytes(path.read_bytes()[:60]),
    "header-lost": lambda path: path.write_bytes(bytes(100) + path.read_bytes()[100:]),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "not-a-whole-page": lambda path: path.write_bytes(path.read_bytes()[:-1000]),
    "emptied": lambda path: path.write_bytes(b""),
    "a-picture": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(9000)),
    "another-database": lambda path: another_database(path),
}


def wal(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def another_database(path: Path) -> None:
    for one in path.parent.glob("catalog.sqlite*"):
        one.unlink()
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE records (name TEXT)")
    db.commit()
    db.close()


@pytest.mark.parametrize("damage", CATALOGS)
def test_a_catalog_that_is_cut_or_another_file_gives_the_undisturbed_result_or_is_named(
    built: Built, damage: str
) -> None:
    path = built.begin("killed")
    CATALOGS[damage](path)
    if not ends_well(built):
        follow_the_advice(built)


def test_after_a_kill_a_row_that_only_its_index_lacks_is_noticed(built: Built) -> None:
    path = built.begin("killed")
    assert wal(path).stat().st_size > 0
    db = sqlite3.connect(path)
    # An index that was made of other rows: no page of it is damaged, and queries believe it.
    db.execute("PRAGMA writable_schema = ON")
    query = "UPDATE sqlite_master SET sql = sql || ' WHERE rank > 0' WHERE name = ?"
    db.execute(query, ("records_by_image",))
    db.commit()
    kept = path.read_bytes(), wal(path).read_bytes()
    db.close()
    path.write_bytes(kept[0])
    wal(path).write_bytes(kept[1])
    assert not ends_well(built)


def test_text_that_is_no_text_in_the_catalog_is_damage(built: Built) -> None:
    for cell in (b"\xff\xfe{}", b'{"hits":'):
        db = sqlite3.connect(built.begin("unpublished"))
        db.execute("UPDATE results SET value = CAST(? AS TEXT) WHERE stage = 'split'", (cell,))
        db.commit()
        db.close()
        assert not ends_well(built)


# The index of samples -----------------------------------------------------------------------------


@pytest.mark.parametrize("damage", [*DAMAGES, "removed"])
def test_a_damaged_index_of_samples_is_made_anew(built: Built, damage: str) -> None:
    drawn = dice(damage)
    names = sorted(path.name for path in (built.kept / "published" / INDEX).iterdir())
    assert "index.sqlite" in names
    for name in names:
        built.begin("published")
        path = built.folder / INDEX / name
        data = path.read_bytes()
        path.unlink()
        if damage != "removed":
            path.write_bytes(DAMAGES[damage](data, drawn))
        with_one_more(built.folder)
        assert built.build().status == 0
        with_one_more(built.folder, -1)
        assert built.build().status == 0
        assert outcome(built.folder) == built.undisturbed, name


def with_one_more(folder: Path, more: int = 1) -> None:
    """Let the source list one face more, so that the index is asked for."""
    count = 24 + max(more, 0)
    (folder / "occlufer.toml").write_text(CONFIG.replace("24", str(count)))


# Images -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", [*DAMAGES, "removed"])
def test_a_damaged_image_is_named_and_read_anew_by_the_next_build(
    built: Built, damage: str
) -> None:
    drawn = dice(f"images {damage}")
    built.begin("unpublished")
    images = sorted((built.folder / ".occlufer/images").glob("*/*"))
    chosen = drawn.sample(images, len(images) if FULL else 2)
    for path in chosen:
        data = path.read_bytes()
        path.unlink()
        if damage != "removed":
            path.write_bytes(DAMAGES[damage](data, drawn))
    named: set[str] = set()
    while (ended := built.build()).status:
        line = told(ended.stderr)
        name = line.partition(": the stored image is ")[0]
        assert line.endswith("`occlufer build` reads it anew from its source")
        assert name in {str(path) for path in chosen} - named
        named.add(name)
    assert outcome(built.folder) == built.undisturbed


# What is published --------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", [*DAMAGES, "removed"])
def test_a_damaged_file_of_the_dataset_is_named_and_made_anew_by_the_next_build(
    built: Built, damage: str
) -> None:
    drawn = dice(f"published {damage}")
    built.begin("published")
    out = built.folder / "occlu_fer"
    lock = Lock.from_text((out / LOCK_NAME).read_text())
    shards = sorted(name for name in lock.files if name.endswith(".parquet"))
    for name in shards if FULL else [drawn.choice(shards)]:
        built.begin("published")
        data = (out / name).read_bytes()
        (out / name).unlink()
        if damage != "removed":
            (out / name).write_bytes(DAMAGES[damage](data, drawn))
        checked = built.forked.run(built.folder, "verify", "occlu_fer")
        assert checked.status == 4, checked.stderr
        assert name in checked.stdout + checked.stderr
        with pytest.raises(GateError, match=name):
            load_dataset(out, version=lock.version)
        assert built.build().status == 0
        assert outcome(built.folder) == built.undisturbed
