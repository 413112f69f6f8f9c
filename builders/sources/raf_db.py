"""RAF-DB's basic subset: `basic/` as its authors give it, or packed again by class number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath

from occlufer.errors import MissingError, UsageError
from occlufer.record import Facts, Reject

from .entry import Entry, read_file, read_nothing, text_stamp
from .files import fault, folders, name_of, source_folder, stamp_of, walk
from .labels import said
from .named_files import named_file, own_folder
from .rows import Line, lines
from .terms import Terms

# Its readme counts from 1.
LABELS = {
    "1": "surprise",
    "2": "fear",
    "3": "disgust",
    "4": "happiness",
    "5": "sadness",
    "6": "anger",
    "7": "neutral",
}
SPLITS = ("train", "test")
TEST_SETS = {"test": "RAF-DB test"}
# The first is how the authors spell it.
TABLES = ("EmoLabel/list_patition_label.txt", "EmoLabel/list_partition_label.txt")
PICTURES = ("aligned", "original")
# The compound subset lies in folders and a table of the same names, and has eleven classes.
COMPOUND_ONLY = {"8", "9", "10", "11"}
CSV_HEADER = ["image", "label"]
PICTURE_NAME = re.compile(r"(train|test)_\d+(_aligned)?\.jpe?g", re.IGNORECASE)
TERMS = Terms(
    title="RAF-DB",
    licence="RAF-DB (non-commercial research; nothing of it or derived from it may be passed on)",
    attribution="Li, Deng and Du, Reliable Crowdsourcing and Deep Locality-Preserving Learning for "
    "Expression Recognition in the Wild, CVPR 2017",
    where="ask its authors for RAF-DB at whdeng.cn/RAF/model1.html",
    must_accept=True,
)


@dataclass(frozen=True)
class Settings:
    """A `[[sources]]` table with kind = "raf_db"."""

    path: Path
    """The folder `basic`, or the one that holds it."""
    pictures: str = "aligned"
    """"aligned": the crops of 100x100; "original": the photographs, whose faces are cut out."""

    def __post_init__(self) -> None:
        """Check the choice."""
        if self.pictures not in PICTURES:
            raise ValueError(f"pictures: found {self.pictures!r}, expected aligned or original")


@dataclass(frozen=True)
class Layout:
    """Where the pieces of one copy lie."""

    root: Path
    tables: tuple[Path, ...]
    pictures: tuple[Path, ...]
    """The folders that hold them."""
    kind: str = "aligned"
    packed_again: bool = False
    """Whether it is `train|test/<number>/`, as on Kaggle."""


def detect(path: Path) -> str | None:
    """Return which packing was recognised, else None."""
    if not path.is_dir():
        return None
    root = _authors_root(path)
    if root is not None:
        table = _table(root)
        if table is not None and _is_compound(table):
            return "RAF-DB compound, which is not read"
        found = [f"Image/{kind}" for kind in PICTURES if _folder(root, kind).is_dir()]
        return f"RAF-DB basic, {', '.join([*(['EmoLabel'] if table else []), *found])}"
    root = _packed_root(path)
    return f"RAF-DB basic, packed as {', '.join(_splits(root))} by class number" if root else None


def entries(settings: Settings, name: str) -> Iterator[Entry]:
    """Yield a row of the table at a time, then the pictures that no row names.

    Raises MissingError if the table or the pictures are not there, UsageError if the layout is
    another one.
    """
    layout = _layout(settings)
    listed: set[str] = set()
    for table in layout.tables:
        for line in lines(table):
            if layout.packed_again and line.number == 1 and _cells(line) == CSV_HEADER:
                continue
            entry = _row(line, table, layout, name)
            listed.add(entry.source_id)
            yield entry
    for folder in layout.pictures:
        for path in walk(folder):
            if name_of(path.relative_to(layout.root)) not in listed:
                yield _file(path, layout, name)


# Layouts ------------------------------------------------------------------------------------------


def _layout(settings: Settings) -> Layout:
    path = source_folder(settings.path, f"expected RAF-DB's folder basic/; {TERMS.where}")
    root = _authors_root(path)
    if root is not None:
        return _authors_layout(root, settings.pictures)
    root = _packed_root(path)
    if root is None:
        raise MissingError(
            f"{path}: found {', '.join(folders(path)) or 'no folder'}, "
            f"expected {TABLES[0]} and Image/aligned/; {TERMS.where}"
        )
    if settings.pictures != "aligned":
        raise MissingError(f"{root}: found aligned pictures only, expected Image/original/")
    splits = _splits(root)
    tables = (root / f"{split}_labels.csv" for split in splits)
    pictures = tuple(own_folder(root / split, root) for split in splits)
    return Layout(root, tuple(t for t in tables if t.is_file()), pictures, packed_again=True)


def _authors_layout(root: Path, kind: str) -> Layout:
    table, folder = _table(root), _folder(root, kind)
    if table is None:
        raise MissingError(f"{root}: found no {TABLES[0]}, the labels; {TERMS.where}")
    if not folder.is_dir():
        inner = ", ".join(sorted(p.name for p in islice((root / "Image").glob("*"), 5)))
        raise MissingError(
            f"{root}: found no Image/{kind}/ (in Image/: {inner or 'nothing'}), "
            f"the pictures; {TERMS.where}"
        )
    if _is_compound(table):
        raise UsageError(
            f"{table}: found labels up to 11, RAF-DB's compound expressions; "
            "expected its folder basic, with labels 1 to 7"
        )
    return Layout(root, (table,), (own_folder(folder, root),), kind)


def _authors_root(path: Path) -> Path | None:
    for root in (path / "basic", path):
        if _table(root) or any(_holds_pictures(_folder(root, kind)) for kind in PICTURES):
            return root
    return None


def _packed_root(path: Path) -> Path | None:
    for root in (path / "DATASET", path):
        if root.is_dir() and any(
            _holds_pictures(root / split / number)
            for split in _splits(root)
            for number in folders(root / split)
            if number in LABELS
        ):
            return root
    return None


def _splits(root: Path) -> list[str]:
    return [split for split in SPLITS if (root / split).is_dir()]


def _table(root: Path) -> Path | None:
    return next((root / name for name in TABLES if (root / name).is_file()), None)


def _folder(root: Path, kind: str) -> Path:
    # Unpacking aligned.zip where it lies gives aligned/aligned/.
    folder = root / "Image" / kind
    return folder / kind if (folder / kind).is_dir() else folder


def _holds_pictures(folder: Path) -> bool:
    names = (path.name for path in islice(folder.glob("*"), 5)) if folder.is_dir() else ()
    return any(PICTURE_NAME.fullmatch(name) for name in names)


def _is_compound(table: Path) -> bool:
    return {cells[1] for cells in map(_cells, lines(table)) if len(cells) == 2} >= COMPOUND_ONLY


# Rows and files -----------------------------------------------------------------------------------


def _cells(line: Line) -> list[str]:
    # "train_00001.jpg 5", or "train_00001_aligned.jpg,5" where it was packed again.
    return re.split(r"[\s,]+", line.text.strip())


def _row(line: Line, table: Path, layout: Layout, name: str) -> Entry:
    cells = _cells(line)
    place = f"{table.name}, line {line.number}"
    stamp = text_stamp(line.text)
    source_id = f"{name_of(table.relative_to(layout.root))}:{line.number}"
    if bad := line.fault or _row_fault(cells):
        facts, reject = _facts(name, "", None, layout), Reject("malformed_row", bad)
        return Entry(source_id, stamp, facts, read_nothing, reject, place)
    picture, label = cells
    facts = _facts(name, picture, label, layout)
    path, fault_found = named_file(*_where(picture, label, layout), layout.root)
    if path is None:
        return Entry(source_id, stamp, facts, read_nothing, fault_found, place)
    source_id, stamp = name_of(path.relative_to(layout.root)), f"{stamp_of(path)}:{stamp}"
    return Entry(source_id, stamp, facts, partial(read_file, path), fault_found, place)


def _row_fault(cells: list[str]) -> str:
    if len(cells) != 2:
        return f"found {len(cells)} words, expected a picture's name and its label"
    picture, label = cells
    if _split(picture) is None:
        return f"found the name {picture[:80]!r}, expected train_... or test_..."
    if label not in LABELS:
        return f"found the label {label[:20]!r}, expected 1 to 7"
    return ""


def _where(picture: str, label: str, layout: Layout) -> tuple[str, Path]:
    """Return the name of a row's picture on disk, and its folder."""
    if layout.packed_again:
        return picture, layout.root / str(_split(picture)) / label
    end = "_aligned" if layout.kind == "aligned" else ""
    return f"{_stem(picture)}{end}{PurePosixPath(picture).suffix}", layout.pictures[0]


def _file(path: Path, layout: Layout, name: str) -> Entry:
    """Return the entry of a picture that no row named."""
    split, number, *inner = path.relative_to(layout.root).parts
    label = None
    reject = fault(path, layout.root)
    if not layout.packed_again or layout.root / f"{split}_labels.csv" in layout.tables:
        reject = reject or Reject("unlisted", "found no row that gives it a label")
    elif len(inner) == 1 and number in LABELS and _split(path.name) == split:
        label = number
    else:
        reject = reject or Reject("no_class", f"expected {split}_... in {split}/<1 to 7>/")
    facts = _facts(name, name_of(Path(path.name)), label, layout)
    return Entry(
        name_of(path.relative_to(layout.root)),
        stamp_of(path),
        facts,
        partial(read_file, path),
        reject,
    )


def _stem(picture: str) -> str:
    return picture.removesuffix(PurePosixPath(picture).suffix).removesuffix("_aligned")


def _split(picture: str) -> str | None:
    return next((split for split in SPLITS if picture.startswith(f"{split}_")), None)


def _facts(name: str, picture: str, label: str | None, layout: Layout) -> Facts:
    split = _split(picture)
    return Facts(
        **said(name, {LABELS[label]: 1} if label else {}),
        source_label=label,
        source_name=_stem(picture) or None,
        content="crop" if layout.kind == "aligned" else "photograph",
        source_split=split,
        test_set=TEST_SETS.get(split or ""),
        licence=TERMS.licence,
        attribution=TERMS.attribution,
        rights=TERMS.rights,
    )
