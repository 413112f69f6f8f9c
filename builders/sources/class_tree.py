"""Trees with a folder per split and in it a folder per class, as several sets are packed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from PIL import Image

from occlufer.errors import MissingError, UsageError
from occlufer.record import Facts, Reject
from occlufer.schema import LABEL_SYNONYMS

from .entry import Entry, read_file
from .files import SYSTEM_FILE, fault, folders, is_system, name_of, stamp_of, walk
from .labels import UNLABELLED, quoted, said
from .terms import Terms

# Splits lie in one another at most so deep, e.g. Val/Val_Aligned_Faces_new/Val_Aligned_Faces/.
DEEPEST = 3


@dataclass(frozen=True)
class Split:
    """What a split's folder says of the files in it."""

    name: str
    """"train", "validation" or "test"."""
    test_set: str | None = None
    labelled: bool = True
    """False: labels may be secret, so what lies in no class folder is kept without one."""
    left_out: str = ""
    """Why the settings leave its files out, if they do."""


@dataclass(frozen=True)
class Tree:
    """How a set is packed. Folders are known in any case of their letters."""

    splits: Mapping[str, Split]
    """{folder in lower case: what it is}; one may lie in another, the innermost counts."""
    classes: Mapping[str, str]
    """{class folder as the set spells it: our label}; usual spellings of these labels are known."""
    terms: Terms
    expected: str
    """What messages about a missing piece say of the layout and of where it is obtained."""
    called: re.Pattern[str] | None = None
    """How the set's folder is called, by which it is found in the folder that holds it."""
    content: str = "crop"
    label_map: Mapping[str, str] | None = None
    """What the user says of class folders, see labels.read_label_map; None: it cannot be said."""


Steps = tuple[str, ...]
"""A path under the set's folder, name by name."""


def entries(root: Path, tree: Tree, name: str) -> Iterator[Entry]:
    """Yield every file under the set's folder, sorted by path, as a sample or with its reject.

    Raises MissingError if there is no folder of a split or no class folder, UsageError for a class
    folder whose name says nothing.
    """
    found = class_folders(root, tree)
    if not found:
        there = ", ".join(inner_folders(root)) or "no folder"
        raise MissingError(f"{root}: found {there}, {tree.expected}")
    labels = _labels(root, found, tree)
    splits = (tree.splits[steps[-1].lower()] for steps in found)
    if not labels and all(split.labelled for split in splits if not split.left_out):
        told = ", ".join("/".join(steps) for steps in found)
        raise MissingError(f"{root}: found no class folder in {told}; {tree.expected}")
    for path in walk(root):
        yield _entry(path, root, tree, labels, name)


def set_folder(path: Path, tree: Tree, alone: bool = False) -> Path:
    """Return `path`, or the folder in it that is the set's, if `path` itself has no split.

    `alone`: only if there is no other folder beside it, so that a shelf of sets is not taken for
    one of them.
    """
    inner = inner_folders(path)
    if any(name.lower() in tree.splits for name in inner) or (alone and len(inner) > 1):
        return path
    held = [path / name for name in inner if class_folders(path / name, tree)]
    named = [folder for folder in held if is_called(folder, tree)]
    return (named or held)[0] if len(named or held) == 1 else path


def is_called(path: Path, tree: Tree) -> bool:
    """Return whether the folder bears the set's name."""
    names = (path.name, path.resolve().name)  # a link may bear it, "." does not
    return tree.called is not None and any(map(tree.called.search, names))


def class_folders(root: Path, tree: Tree) -> dict[Steps, list[str]]:
    """Return {path of a split's folder under `root`: its folders that are no splits themselves}.

    A folder that only holds other splits, e.g. Train/Train_Aligned_Faces/, is not in it.
    """
    found: dict[Steps, list[str]] = {}
    waiting: list[Steps] = [()]
    while waiting:
        steps = waiting.pop()
        inner = inner_folders(root.joinpath(*steps))
        splits = [name for name in inner if name.lower() in tree.splits]
        if steps and len(splits) < max(len(inner), 1):
            found[steps] = [name for name in inner if name not in splits]
        if len(steps) < DEEPEST:
            waiting += [(*steps, name) for name in splits]
    return dict(sorted(found.items()))


def inner_folders(path: Path) -> list[str]:
    """Return the names of the folders in `path`, system's left out; none if it is not listed."""
    try:
        return [name for name in folders(path) if not is_system(name)]
    except OSError:
        return []


def first_files(folder: Path, count: int) -> list[Path]:
    """Return the first files under a folder, system's left out, by which sets are told apart."""
    # A pipe is no file: whoever opens one waits for ever.
    files = (path for path in walk(folder) if not is_system(path.name) and path.is_file())
    try:
        return list(islice(files, count))
    except OSError:  # may not be listed
        return []


def first_sizes_px(folder: Path, count: int) -> set[tuple[int, int]]:
    """Return the (width, height) of those of the first files that are pictures."""
    return {size for path in first_files(folder, count) if (size := _size_px(path))}


def _size_px(path: Path) -> tuple[int, int] | None:
    try:
        with Image.open(path) as image:
            width_px, height_px = image.size
            return width_px, height_px
    except Exception:  # no picture at all says nothing about the set
        return None


def labels_of(tree: Tree) -> dict[str, str | None]:
    """Return {class folder in lower case: label, None where the user says there is none}."""
    labels = set(tree.classes.values())
    known: dict[str, str | None] = {w: x for w, x in LABEL_SYNONYMS.items() if x in labels}
    known |= {word.lower(): label for word, label in tree.classes.items()}
    for word, label in (tree.label_map or {}).items():
        known[word] = None if label == UNLABELLED else label
    return known


def told(found: Mapping[Steps, list[str]], tree: Tree) -> str:
    """Return the splits that are there, in words, with what is not there of them."""
    texts, there, known = [], set(), labels_of(tree)
    for steps, words in found.items():
        split = tree.splits[steps[-1].lower()]
        there.add(split.name)
        labels = {known[word.lower()] for word in words if word.lower() in known}
        absent = [word for word, label in tree.classes.items() if label not in labels]
        text = "/".join(steps)
        if not words:
            text += " (no class folders)"
        elif not labels:
            text += f" (folders {', '.join(words)})"
        elif absent:
            text += f" (without {', '.join(absent)})"
        texts.append(text)
    absent = list(dict.fromkeys(s.name for s in tree.splits.values() if s.name not in there))
    return ", ".join(texts) + (f"; no {', no '.join(absent)}" if absent else "")


def _labels(root: Path, found: Mapping[Steps, list[str]], tree: Tree) -> dict[Steps, str | None]:
    """Return {path of a class folder: label}, checked before anything is read."""
    labels, known = {}, labels_of(tree)
    for steps, words in found.items():
        split = tree.splits[steps[-1].lower()]
        for word in words if not split.left_out else ():
            if word.lower() in known:
                place = (*steps, word)
                labels[place] = known[word.lower()]
            elif split.labelled:
                raise UsageError(_unknown(root.joinpath(*steps, word), tree))
    return labels


def _unknown(folder: Path, tree: Tree) -> str:
    text = f"{folder}: found the class {folder.name!r}, expected one of {', '.join(tree.classes)}"
    if tree.label_map is None:
        return f"{text}, as {tree.terms.title} has them"
    return (
        f"{text} or a usual spelling; a number is never guessed: say what it means with "
        f'label_map = {{ {quoted(folder.name)} = "..." }} (a class, or "{UNLABELLED}")'
    )


def _entry(
    path: Path, root: Path, tree: Tree, labels: Mapping[Steps, str | None], name: str
) -> Entry:
    inner = path.relative_to(root)
    depth = 0
    while depth < len(inner.parts) - 1 and inner.parts[depth].lower() in tree.splits:
        depth += 1
    split = tree.splits[inner.parts[depth - 1].lower()] if depth else None
    within = inner.parts[: depth + 1] in labels
    label = labels.get(inner.parts[: depth + 1])
    facts = Facts(
        **said(name, {label: 1} if label else {}),
        source_label=inner.parts[depth] if within else None,
        content=tree.content,
        source_split=split.name if split else None,
        test_set=split.test_set if split else None,
        licence=tree.terms.licence,
        attribution=tree.terms.attribution,
        rights=tree.terms.rights,
    )
    reject = fault(path, root) or _misplaced(inner.parts, split, within)
    return Entry(name_of(inner), stamp_of(path), facts, partial(read_file, path), reject)


def _misplaced(steps: Steps, split: Split | None, within: bool) -> Reject | None:
    """Return why a file is no sample, judged by where it lies; None if it may be one."""
    if any(map(is_system, steps)):
        return SYSTEM_FILE
    if split is not None and split.left_out:
        return Reject("not_chosen", split.left_out)
    if within or (split is not None and not split.labelled):
        return None
    return Reject("no_class", "expected it in <split>/<class>/")
