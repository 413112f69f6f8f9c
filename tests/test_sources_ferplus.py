"""FERPlus's votes joined to fer2013.csv, row by row, whole and damaged."""

from __future__ import annotations

import io
import logging
import pickle
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from occlufer.builders.detection import find
from occlufer.builders.gather import gather, read_entry
from occlufer.builders.sources import fer2013, ferplus
from occlufer.builders.sources.adapters import recognised
from occlufer.builders.sources.ferplus import Settings, entries
from occlufer.config import SourceConfig
from occlufer.errors import MissingError, OccluferError, UsageError
from occlufer.images import ImageStore
from occlufer.record import Vote
from occlufer.schema import LABELS, NO_CLASS
from occlufer.workspace import Workspace

Write = Callable[[Path, Mapping[str, bytes]], Path]
VOTES = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
PIXELS = "emotion,pixels,Usage"
REMOVED = ("Training", "", "0,0,0,0,0,0,0,0,0,10")


def picture(seed: int) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (48, 48))


def pixel_row(seed: int = 0, usage: str = "Training", emotion: int = 3) -> str:
    return f"{emotion},{' '.join(map(str, picture(seed).ravel()))},{usage}"


def vote_row(
    number: int = 0, usage: str = "Training", votes: str = "4,0,0,1,3,2,0,0,0,0", name: str = ""
) -> str:
    return f"{usage},{name or f'fer{number:07d}.png'},{votes}"


def write(folder: Path, votes: list[str] | bytes, pixels: list[str] | bytes) -> Path:
    folder.mkdir(exist_ok=True)
    for name, rows in {"fer2013new.csv": votes, "fer2013.csv": pixels}.items():
        data = rows if isinstance(rows, bytes) else ("\n".join(rows) + "\n").encode()
        (folder / name).write_bytes(data)
    return folder


def listed(path: Path, **settings: Any) -> list[Any]:
    return list(entries(Settings(path, **settings), "f"))


def one(folder: Path, votes: str, pixels: str) -> Any:
    (entry,) = listed(write(folder, [VOTES, votes], [PIXELS, pixels]))
    return entry


def seed_of(folder: Path, entry: Any, seeds: range) -> int | None:
    """Return which picture an entry reads."""
    read = np.asarray(Image.open(io.BytesIO(entry.read().data)))
    return next((seed for seed in seeds if np.array_equal(read, picture(seed))), None)


# Votes --------------------------------------------------------------------------------------------

# From FERPlus's own description of its columns.
COLUMNS = [
    *("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"),
    *("unknown", "not_a_face"),
]


@pytest.mark.parametrize(("column", "word"), list(enumerate(COLUMNS)), ids=COLUMNS)
def test_every_column_of_votes_means_what_ferplus_says(
    tmp_path: Path, column: int, word: str
) -> None:
    votes = ["0"] * 10
    votes[column] = "10"
    facts = one(tmp_path, vote_row(votes=",".join(votes)), pixel_row()).facts
    assert {vote.label: vote.count for vote in facts.votes} == (
        {word: 10} if word in LABELS else {}
    )
    assert facts.no_class == ({word: 10} if word in NO_CLASS else None)


def test_all_votes_are_kept_under_the_name_of_the_source(tmp_path: Path) -> None:
    entry = one(tmp_path, vote_row(7, votes="1,2,0,0,3,0,0,1,2,1"), pixel_row())
    rater = "source:f"
    assert entry.facts.votes == (
        *(Vote(rater, "anger", 3), Vote(rater, "happiness", 2), Vote(rater, "neutral", 1)),
        Vote(rater, "contempt", 1),
    )
    assert entry.facts.no_class == {"unknown": 2, "not_a_face": 1}
    assert entry.facts.source_label == "1,2,0,0,3,0,0,1,2,1"
    assert entry.reject is None


@pytest.mark.parametrize("votes", ["4,0,0,0,0,3,1,0,1,0", "0,0,0,0,0,0,0,0,0,0"])
def test_votes_need_not_sum_to_ten(tmp_path: Path, votes: str) -> None:
    entry = one(tmp_path, vote_row(votes=votes), pixel_row())
    assert entry.reject is None
    assert sum(vote.count for vote in entry.facts.votes) + sum(
        (entry.facts.no_class or {}).values()
    ) == sum(map(int, votes.split(",")))


@pytest.mark.parametrize(
    ("name", "votes", "reason"),
    [
        ("fer0000001.png", "1,0,0,2,0,0,0,0,3,4", "not_a_face"),
        ("fer0000001.png", "4,0,0,2,0,0,0,0,0,4", "not_a_face"),
        ("fer0000001.png", "5,0,0,0,0,0,0,0,1,4", None),
        ("fer0000001.png", "1,0,0,0,0,0,0,0,8,1", None),
        ("", "0,0,0,0,0,0,0,0,0,10", "not_a_face"),
        ("", "9,0,0,0,0,0,0,0,0,1", "removed"),
        ("", "0,0,0,0,0,0,0,0,10,0", "removed"),
    ],
    ids=[
        *("nf-leads", "nf-ties", "nf-loses", "unknown-leads"),
        *("no-name-nf", "no-name", "no-name-unknown"),
    ],
)
def test_no_face_and_no_name_are_rejected_and_keep_their_votes(
    tmp_path: Path, name: str, votes: str, reason: str | None
) -> None:
    entry = one(tmp_path, f"Training,{name},{votes}", pixel_row())
    assert (entry.reject and entry.reject.reason) == reason
    assert entry.facts.source_label == votes
    assert entry.facts.votes or entry.facts.no_class


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (vote_row(votes="4.0,0,0,1,3,2,0,0,0,0"), ("'4.0' votes for neutral", "0 to 10")),
        (vote_row(votes="4,0,0,1,3,2,0,0,0,-1"), ("'-1' votes for NF",)),
        (vote_row(votes="4,0,0,1,3,2,0,0,11,0"), ("'11' votes for unknown",)),
        (vote_row(votes="4,0,0,1,³,2,0,0,0,0"), ("'³' votes for anger",)),
        (vote_row(votes="4,0,0,1,,2,0,0,0,0"), ("'' votes for anger",)),
        (vote_row(votes="4,0,0,1,3,2,0,0,0"), ("found 11 cells", "expected 12")),
        (vote_row(votes="4,0,0,1,3,2,0,0,0,0,0"), ("found 13 cells",)),
        (vote_row(usage="Test"), ("found Usage 'Test'", "PrivateTest")),
        (vote_row(name="../1.png"), ("the image name '../1.png'", "fer0034656.png")),
        (vote_row(name="row_00001"), ("the image name 'row_00001'",)),
        ("garbage", ("found 1 cells",)),
    ],
    ids=[
        *("fraction", "negative", "eleven", "superscript", "empty", "eleven-cells"),
        *("thirteen-cells", "usage", "traversal", "other-name", "garbage"),
    ],
)
def test_a_malformed_row_is_rejected_with_its_line(
    tmp_path: Path, bad: str, words: tuple[str, ...]
) -> None:
    votes = [VOTES, vote_row(0), bad, vote_row(2)]
    found = listed(write(tmp_path, votes, [PIXELS, *map(pixel_row, range(3))]))
    assert [entry.reject is None for entry in found] == [True, False, True]
    assert found[1].source_id == "row_00001"
    assert found[1].place == "fer2013new.csv, line 3; fer2013.csv, line 3"
    assert found[1].reject.reason == "malformed_row"
    assert all(word in found[1].reject.detail for word in words)


# Names, splits, terms -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("usage", "split", "test_set"),
    [
        ("Training", "train", None),
        ("PublicTest", "validation", "FER2013 public test"),
        ("PrivateTest", "test", "FER2013 test"),
    ],
)
def test_the_tests_are_fer2013_s(
    tmp_path: Path, usage: str, split: str, test_set: str | None
) -> None:
    facts = one(tmp_path, vote_row(usage=usage), pixel_row(usage=usage)).facts
    assert (facts.source_split, facts.test_set) == (split, test_set)
    assert facts.test_set == fer2013.TEST_SETS.get(split)


@pytest.mark.parametrize(
    ("name", "source_id", "source_name"),
    [
        ("fer0034656.png", "fer0034656", "fer0034656"),
        ("fer0034656", "fer0034656", "fer0034656"),
        ("", "row_00000", None),
    ],
)
def test_a_sample_is_called_as_occlusion_lists_call_it(
    tmp_path: Path, name: str, source_id: str, source_name: str | None
) -> None:
    entry = one(tmp_path, f"Training,{name},4,0,0,1,3,2,0,0,0,0", pixel_row())
    assert (entry.source_id, entry.facts.source_name) == (source_id, source_name)


def test_the_terms_name_both_sets_and_ask_for_nothing(tmp_path: Path) -> None:
    facts = one(tmp_path, vote_row(), pixel_row()).facts
    assert "MIT" in facts.licence
    assert fer2013.TERMS.licence in facts.licence
    assert "Barsoum" in facts.attribution
    assert "Goodfellow" in facts.attribution
    assert (facts.rights, ferplus.TERMS.must_accept) == ("index_only", False)


def test_the_emotion_of_fer2013_is_not_a_vote(tmp_path: Path) -> None:
    facts = one(tmp_path, vote_row(votes="0,0,0,10,0,0,0,0,0,0"), pixel_row(emotion=3)).facts
    assert [vote.label for vote in facts.votes] == ["sadness"]


# The join -----------------------------------------------------------------------------------------


def ends(rows: list[str], end: str = "\n", last: str = "\n") -> bytes:
    return (end.join(rows) + last).encode()


VOTE_ROWS = [vote_row(n) for n in range(3)]
PIXEL_ROWS = [pixel_row(n) for n in range(3)]


@pytest.mark.parametrize(
    ("votes", "pixels"),
    [
        (ends([VOTES, *VOTE_ROWS]), ends([PIXELS, *PIXEL_ROWS])),
        (ends([VOTES, *VOTE_ROWS], "\r\n", ""), ends([PIXELS, *PIXEL_ROWS], last="")),
        (ends([VOTES, *VOTE_ROWS], "\r", "\r"), ends([PIXELS, *PIXEL_ROWS], "\r\n")),
        (
            b"\xef\xbb\xbf" + ends([VOTES, *VOTE_ROWS]),
            b"\xef\xbb\xbf" + ends([PIXELS, *PIXEL_ROWS]),
        ),
        (ends(VOTE_ROWS), ends([PIXELS, *PIXEL_ROWS])),
        (ends([VOTES, *VOTE_ROWS]), ends(PIXEL_ROWS)),
        (
            ends([VOTES, VOTE_ROWS[0], "", "  ", VOTE_ROWS[1], VOTE_ROWS[2], ""]),
            ends(["", PIXELS, "", *PIXEL_ROWS]),
        ),
        (ends([VOTES, *VOTE_ROWS], "\n\n"), ends([PIXELS, *PIXEL_ROWS])),
        (
            ends([VOTES.replace(",", ", "), *(row.replace(",", ", ") for row in VOTE_ROWS)]),
            ends([PIXELS, *PIXEL_ROWS]),
        ),
        (
            ends([",".join(f'"{c}"' for c in row.split(",")) for row in (VOTES, *VOTE_ROWS)]),
            ends([PIXELS, *PIXEL_ROWS]),
        ),
    ],
    ids=[
        *("plain", "crlf-unterminated", "cr", "bom", "headless-votes", "headless-pixels"),
        *("blank-lines", "double-spaced", "spaces", "quoted"),
    ],
)
def test_every_way_to_write_the_files_joins_the_same_rows(
    tmp_path: Path, votes: bytes, pixels: bytes
) -> None:
    found = listed(write(tmp_path, votes, pixels))
    assert [entry.source_id for entry in found] == [f"fer000000{n}" for n in range(3)]
    assert [entry.reject for entry in found] == [None] * 3
    assert [seed_of(tmp_path, entry, range(3)) for entry in found] == [0, 1, 2]


def test_a_removed_row_keeps_its_place_in_the_count(tmp_path: Path) -> None:
    votes = [VOTES, vote_row(0), ",".join(REMOVED), vote_row(1)]
    found = listed(write(tmp_path, votes, [PIXELS, *PIXEL_ROWS]))
    assert [entry.source_id for entry in found] == ["fer0000000", "row_00001", "fer0000001"]
    assert seed_of(tmp_path, found[2], range(3)) == 2


def test_files_whose_rows_are_of_different_splits_are_refused_as_a_whole(tmp_path: Path) -> None:
    pixels = [PIXELS, pixel_row(0), pixel_row(1, "PublicTest"), pixel_row(2)]
    with pytest.raises(UsageError) as caught:
        listed(write(tmp_path, [VOTES, *VOTE_ROWS], pixels))
    for words in ("line 3", "Usage 'Training'", "'PublicTest'", "do not hold the same rows"):
        assert words in str(caught.value)


def test_a_row_lost_in_the_middle_is_found_where_the_splits_meet(tmp_path: Path) -> None:
    usages = ["Training"] * 5 + ["PublicTest"] * 4
    votes = [vote_row(n, usage) for n, usage in enumerate(usages)]
    pixels = [pixel_row(n, usage) for n, usage in enumerate(usages)]
    assert len(listed(write(tmp_path, [VOTES, *votes], [PIXELS, *pixels]))) == 9
    for lost in range(5):
        rest = pixels[:lost] + pixels[lost + 1 :]
        with pytest.raises(UsageError, match="do not hold the same rows"):
            listed(write(tmp_path, [VOTES, *votes], [PIXELS, *rest]))


def test_votes_beyond_the_last_pixels_are_missing_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = listed(write(tmp_path, [VOTES, *VOTE_ROWS], [PIXELS, PIXEL_ROWS[0]]))
    assert [entry.reject and entry.reject.reason for entry in found] == [
        *(None, "missing_file", "missing_file")
    ]
    assert [entry.source_id for entry in found[1:]] == ["row_00001", "row_00002"]
    assert found[1].place == "fer2013new.csv, line 3"
    assert "fer2013.csv has ended" in found[1].reject.detail
    assert "fer2013new.csv has 3 rows and" in caplog.text
    assert "fer2013.csv 1, expected as many" in caplog.text


def test_pixels_beyond_the_last_votes_are_rejected(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = listed(write(tmp_path, [VOTES, VOTE_ROWS[0]], [PIXELS, *PIXEL_ROWS]))
    assert [entry.reject and entry.reject.reason for entry in found] == [
        *(None, "malformed_row", "malformed_row")
    ]
    assert found[2].place == "fer2013.csv, line 4"
    assert "fer2013new.csv has ended" in found[2].reject.detail
    assert "fer2013new.csv has 1 rows and" in caplog.text


def test_files_of_one_length_warn_of_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        listed(write(tmp_path, [VOTES, *VOTE_ROWS], [PIXELS, *PIXEL_ROWS]))
    assert not caplog.records


def test_a_malformed_row_of_pixels_costs_its_row(tmp_path: Path) -> None:
    pixels = [PIXELS, pixel_row(0), "3,1 2 3", pixel_row(2)]
    found = listed(write(tmp_path, [VOTES, *VOTE_ROWS], pixels))
    assert [entry.reject is None for entry in found] == [True, False, True]
    assert found[1].reject.detail == "fer2013.csv: found 2 cells, expected 3"


def test_too_few_pixels_are_rejected_with_both_lines(tmp_path: Path) -> None:
    entry = one(tmp_path, vote_row(), "3,1 2 3,Training")
    assert entry.reject is None
    reject = read_entry(entry, "f", ImageStore(tmp_path / "images")).reject
    assert reject is not None
    assert reject.reason == "malformed_row"
    assert reject.detail == (
        "fer2013new.csv, line 2; fer2013.csv, line 2: found 3 pixels, expected 2304"
    )


def test_a_name_given_twice_is_a_duplicate_row(tmp_path: Path, workspace: Workspace) -> None:
    votes = [VOTES, vote_row(5), vote_row(6), vote_row(5)]
    write(tmp_path / "f", votes, [PIXELS, *PIXEL_ROWS])
    gather((SourceConfig("ferplus", "f", {"path": str(tmp_path / "f")}),), workspace, 1)
    found = {record.source_id: record.reject for record in workspace.catalog.records()}
    assert {name: reject and reject.reason for name, reject in found.items()} == {
        "fer0000005": None,
        "fer0000006": None,
        "fer0000005#2": "duplicate_row",
    }


def test_a_stamp_changes_with_its_votes_and_with_its_pixels(tmp_path: Path) -> None:
    def stamps(votes: list[str], pixels: list[str]) -> list[str]:
        found = listed(write(tmp_path, [VOTES, *votes], [PIXELS, *pixels]))
        return [entry.stamp for entry in found]

    before = stamps(VOTE_ROWS, PIXEL_ROWS)
    other_votes = stamps([VOTE_ROWS[0], vote_row(1, votes="9,0,0,0,0,0,0,0,0,1")], PIXEL_ROWS)
    other_pixels = stamps(VOTE_ROWS, [PIXEL_ROWS[0], pixel_row(9), PIXEL_ROWS[2]])
    assert [a == b for a, b in zip(before, other_votes, strict=True)] == [True, False, False]
    assert [a == b for a, b in zip(before, other_pixels, strict=True)] == [True, False, True]


def test_an_entry_can_be_sent_to_another_process(tmp_path: Path) -> None:
    entry = pickle.loads(pickle.dumps(one(tmp_path, vote_row(), pixel_row(4))))  # noqa: S301
    assert seed_of(tmp_path, entry, range(5)) == 4


# Where the files lie ------------------------------------------------------------------------------


@pytest.mark.parametrize("named", ["folder", "file"])
def test_fer2013_csv_may_lie_elsewhere(tmp_path: Path, named: str) -> None:
    write(tmp_path, [VOTES, *VOTE_ROWS], [PIXELS, *PIXEL_ROWS])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    target = elsewhere / ("fer2013.csv" if named == "folder" else "icml.csv")
    (tmp_path / "fer2013.csv").rename(target)
    place = elsewhere if named == "folder" else target
    found = listed(tmp_path, fer2013=place)
    assert [seed_of(tmp_path, entry, range(3)) for entry in found] == [0, 1, 2]
    assert len(listed(tmp_path / "fer2013new.csv", fer2013=place)) == 3


def test_without_fer2013_csv_the_message_says_where_it_is_obtained(tmp_path: Path) -> None:
    write(tmp_path, [VOTES, *VOTE_ROWS], [PIXELS])
    (tmp_path / "fer2013.csv").unlink()
    with pytest.raises(MissingError) as caught:
        listed(tmp_path)
    for words in (str(tmp_path / "fer2013.csv"), "no such file;", "row by row", "Kaggle"):
        assert words in str(caught.value)
    assert "image release" not in str(caught.value)


@pytest.mark.parametrize("elsewhere", [True, False], ids=["named", "beside"])
def test_the_image_release_cannot_be_joined(
    tmp_path: Path, write_tree: Write, elsewhere: bool
) -> None:
    write(tmp_path, [VOTES, *VOTE_ROWS], [PIXELS])
    (tmp_path / "fer2013.csv").unlink()
    images = tmp_path / "images" if elsewhere else tmp_path
    write_tree(images, {"train/angry/1.jpg": b"", "test/sad/1.jpg": b""})
    with pytest.raises(MissingError) as caught:
        listed(tmp_path, **({"fer2013": images} if elsewhere else {}))
    assert "only test, train: the image release has no rows to join" in str(caught.value)


@pytest.mark.parametrize(
    ("votes", "pixels", "error", "words"),
    [
        (b"", ends([PIXELS]), MissingError, r"fer2013new\.csv: found an empty file; .*FERPlus"),
        (ends([VOTES]), b"", MissingError, r"fer2013\.csv: found an empty file; .*Kaggle"),
        (b"a,b\n1,2\n", ends([PIXELS]), UsageError, r"line 1: found 'a, b', expected Usage,Image"),
        (ends([VOTES]), b"a,b\n1,2\n", UsageError, r"2013\.csv, line 1: found 'a, b', expected em"),
        (ends([PIXELS]), ends([VOTES]), UsageError, r"fer2013new\.csv, line 1: found 'emotion"),
    ],
    ids=["no-votes", "no-pixels", "other-votes", "other-pixels", "swapped"],
)
def test_another_file_is_refused(
    tmp_path: Path, votes: bytes, pixels: bytes, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        listed(write(tmp_path, votes, pixels))


def test_without_votes_the_message_says_where_they_are_obtained(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"found no fer2013new\.csv in it, .*microsoft/FERPlus"):
        listed(tmp_path)
    with pytest.raises(MissingError, match=r"none: no such folder; expected fer2013new\.csv"):
        listed(tmp_path / "none")


def test_faults_show_when_the_first_entry_is_asked_for(tmp_path: Path) -> None:
    found = entries(Settings(tmp_path), "f")
    with pytest.raises(MissingError):
        next(found)


# Detection ----------------------------------------------------------------------------------------


def test_ferplus_is_recognised_whole_and_in_part(tmp_path: Path) -> None:
    write(tmp_path / "whole", [VOTES], [PIXELS])
    write(tmp_path / "part", [VOTES, *VOTE_ROWS], [PIXELS])
    (tmp_path / "part/fer2013.csv").unlink()
    write(tmp_path / "headless", VOTE_ROWS, PIXEL_ROWS)
    assert recognised(tmp_path / "whole") == ("ferplus", "FERPlus, fer2013new.csv with fer2013.csv")
    assert recognised(tmp_path / "part") == (
        *("ferplus", "FERPlus, fer2013new.csv without fer2013.csv"),
    )
    for name in ("part", "headless"):
        found = ferplus.detect(tmp_path / name / "fer2013new.csv")
        assert str(found).startswith("FERPlus, fer2013new.csv")


def test_fer2013_alone_is_not_taken_for_ferplus(tmp_path: Path, write_tree: Write) -> None:
    write_tree(tmp_path / "csv", {"fer2013.csv": ends([PIXELS, *PIXEL_ROWS])})
    write_tree(tmp_path / "images", {"train/angry/1.jpg": b"", "notes.txt": b"\xff\x00"})
    assert recognised(tmp_path / "csv") == ("fer2013", "FER2013, fer2013.csv")
    for path in ("csv", "csv/fer2013.csv", "images", "images/notes.txt", "images/train"):
        assert ferplus.detect(tmp_path / path) is None


def test_detection_counts_by_split_and_class(tmp_path: Path) -> None:
    votes = [
        *(VOTES, vote_row(0), vote_row(1, "PublicTest"), vote_row(2, "PrivateTest")),
        *(vote_row(3, votes="0,0,0,0,0,0,0,0,9,1"), ",".join(REMOVED)),
    ]
    usages = ["Training", "PublicTest", "PrivateTest", "Training", "Training"]
    found = find(write(tmp_path, votes, [PIXELS, *(pixel_row(usage=u) for u in usages)]))
    assert found.splits == {
        "train": Counter(neutral=1, unknown=1),
        "validation": Counter(neutral=1),
        "test": Counter(neutral=1),
    }
    assert found.rejected == Counter(not_a_face=1)
    assert (found.records, found.missing) == (5, "")


# Any bytes ----------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        *(b"Training,", b"PublicTest,", b"fer0000001.png", b",1,0,0,0,0,0,0,0,0,9", b",", b'"'),
        *(b"\n", b"\r", b"\r\n", b"\xff", b"\x00", b"0,1 2 3,", b"Training", b" ", b"\xef\xbb\xbf"),
    ]
)
BYTES = st.binary(max_size=60) | st.lists(PIECES, max_size=30).map(b"".join)


def rows_in(data: bytes) -> int:
    text = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return sum(bool(line.strip()) for line in text.split(b"\n"))


@given(votes=BYTES, pixels=BYTES, headers=st.tuples(st.booleans(), st.booleans()))
def test_any_bytes_lose_no_row(
    tmp_path_factory: pytest.TempPathFactory,
    votes: bytes,
    pixels: bytes,
    headers: tuple[bool, bool],
) -> None:
    folder = tmp_path_factory.getbasetemp() / "fuzz-ferplus"
    texts = [f"{VOTES}\n" if headers[0] else "", f"{PIXELS}\n" if headers[1] else ""]
    head = [text.encode() for text in texts]
    write(folder, head[0] + votes, head[1] + pixels)
    try:
        found = listed(folder)
    except OccluferError as error:
        if "do not hold the same rows" not in str(error):
            assert not all(headers)
        return
    if all(headers):
        assert len(found) == max(rows_in(votes), rows_in(pixels))
    for entry in found:
        read_entry(entry, "f", ImageStore(folder / "images"))


# The real file ------------------------------------------------------------------------------------


def test_the_real_votes_join_row_by_row(real_data: Path, tmp_path: Path) -> None:
    path = real_data / "lists/FERPlus/fer2013new.csv"
    table = pd.read_csv(path, keep_default_na=False)
    pixels = " ".join("0123456789"[n % 10] for n in range(48 * 48))
    with (tmp_path / "fer2013.csv").open("w") as file:
        file.write(f"{PIXELS}\n")
        file.writelines(f"0,{pixels},{usage}\n" for usage in table["Usage"])

    read = {"rows": 0, "no name": 0, "a name twice": 0}
    labels, no_class, rejects = Counter[str](), Counter[str](), Counter[str]()
    splits, ids = Counter[str | None](), set()
    for entry in entries(Settings(path, fer2013=tmp_path), "f"):
        read["rows"] += 1
        read["no name"] += entry.facts.source_name is None
        read["a name twice"] += entry.source_id in ids
        ids.add(entry.source_id)
        labels.update({vote.label: vote.count for vote in entry.facts.votes})
        no_class.update(entry.facts.no_class or {})
        rejects[entry.reject.reason if entry.reject else "none"] += 1
        splits[entry.facts.source_split] += 1
    (tmp_path / "fer2013.csv").unlink()  # 165 MB

    counts = table.iloc[:, 2:]
    names = table["Image name"]
    most = counts.max(axis=1)
    assert read == {
        "rows": len(table),
        "no name": int((names == "").sum()),
        "a name twice": int(names[names != ""].duplicated().sum()),
    }
    assert read == {"rows": 35_887, "no name": 173, "a name twice": 4}
    assert labels == Counter({label: int(counts[label].sum()) for label in LABELS})
    assert no_class == {"unknown": counts["unknown"].sum(), "not_a_face": counts["NF"].sum()}
    not_a_face = int((counts["NF"] == most).sum())
    removed = int(((names == "") & (counts["NF"] < most)).sum())
    assert (not_a_face, removed) == (178, 0)
    assert rejects == Counter(not_a_face=not_a_face, none=len(table) - not_a_face)
    assert splits == Counter(train=28_709, validation=3_589, test=3_589)
    assert (counts.sum(axis=1) != 10).sum() == 1  # fer0010406: nine
