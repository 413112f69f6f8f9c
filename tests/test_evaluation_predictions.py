"""Tables of predictions: what is right is read, what is wrong is told by its lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from occlufer.errors import MissingError, UsageError
from occlufer.orsanet.evaluation.predictions import (
    Predictions,
    read_predictions,
    write_predictions,
)
from occlufer.orsanet.evaluation.samples import Samples
from occlufer.orsanet.evaluation.scores import NOT_FOUND
from occlufer.schema import LABELS

EVEN = ",".join(["0.125"] * 8)
ODD = EVEN.replace("0.125", "0.2", 1)


def samples(count: int = 3) -> Samples:
    everyone = np.ones(count, dtype=bool)
    names = tuple(f"{number:064x}" for number in range(count))
    return Samples(names, np.zeros(count, np.int64), np.arange(count), {"all": everyone})


def written(folder: Path, lines: Sequence[str], encoding: str = "utf-8") -> Path:
    path = folder / "model.csv"
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path


def test_words_are_read_in_the_order_of_the_samples(tmp_path: Path) -> None:
    a, b, c = samples().ids
    path = written(tmp_path, ["predicted,id", f"Happy,{c}", f"not_found,{a}", f" fear ,{b}"])
    found = read_predictions(path, samples())
    assert found.name == "model"
    assert found.predicted.tolist() == [NOT_FOUND, LABELS.index("fear"), LABELS.index("happiness")]
    assert found.probabilities is None


def test_probabilities_alone_give_the_largest_and_empty_ones_no_face(tmp_path: Path) -> None:
    a, b, c = samples().ids
    lines = [
        "id," + ",".join(reversed(LABELS)),  # columns are known by name, not by place
        f"{a},0.3,0.7,0,0,0,0,0,0",
        f"{b},,,,,,,,",
        f"{c},0,0,0,0,0,0,0,1",
    ]
    found = read_predictions(written(tmp_path, lines, "utf-8-sig"), samples())
    order = list(reversed(LABELS))
    expected = [LABELS.index(order[1]), NOT_FOUND, LABELS.index(order[7])]
    assert found.predicted.tolist() == expected
    assert found.probabilities is not None
    assert found.probabilities[0, LABELS.index(order[0])] == pytest.approx(0.3)
    assert not found.probabilities[1].any()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], r"found the columns none, expected id, and predicted or the eight classes"),
        (["id;predicted", "{a};fear"], r"found the columns id;predicted, .*parted by commas"),
        (["id,predicted,predicted", "{a},fear,joy"], r"found the column 'predicted' twice"),
        (["id,predicted", "{a},0,5"], r"model.csv, line 2: found 3 fields, expected 2, as the"),
        (
            ["id,predicted", "", "{a},fear", '"{b}","fe', 'ar"', "{c},joy"],
            r"a word that is no class, .*; 2 times: line 4: 'fe\\nar'; line 6: 'joy'",
        ),
        (["id,label", "{a},fear"], r"found the columns id, label, expected id, and predicted"),
        (["id,predicted", "{a},fear"], r"found no line for 2 of 3 samples, .*: 0+1; 0+2"),
        (
            ["id,predicted", "{a},fear", "{b},fear", "{c},fear", "{a},anger"],
            r"found an id twice; 1 times: lines 2 and 5: '0+'",
        ),
        (
            ["id,predicted", "{a},fear", "{b},fear", "{c},fear", "photo.jpg,anger"],
            r"found an id that is not of the split; 1 times: line 5: 'photo.jpg'",
        ),
        (
            ["id,predicted", "{a},fear", "{b},joy", "{c},3"],
            r"a word that is no class, .*; 2 times: line 3: 'joy'; line 4: '3'",
        ),
        (
            [f"id,{','.join(LABELS)}", "{a}," + EVEN, "{b},nan,0,0,0,0,0,0,1", "{c}," + EVEN],
            r"no probabilities, .*; 1 times: line 3: 'nan, 0",
        ),
        (
            [f"id,{','.join(LABELS)}", "{a}," + EVEN, "{b}," + ODD, "{c},-1,2,0,0,0,0,0,0"],
            r"no probabilities, expected eight from 0 to 1 that sum to 1; 2 times: line 3.*; line",
        ),
        (
            [f"id,{','.join(LABELS)}", "{a}," + EVEN, "{b}," + EVEN, "{c},much,0,0,0,0,0,0,1"],
            r"line 4: 'much, 0",
        ),
    ],
    ids=[
        "empty",
        "semicolons",
        "column-twice",
        "fields",
        "lines-that-are-counted-otherwise",
        "columns",
        "missing",
        "doubled",
        "unknown",
        "words",
        "not-a-number",
        "sums",
        "no-numbers",
    ],
)
def test_what_is_wrong_is_named_by_its_lines(
    tmp_path: Path, lines: list[str], message: str
) -> None:
    names = dict(zip("abc", samples().ids, strict=True))
    filled = [line.format(**names) for line in lines]
    with pytest.raises(UsageError, match=message) as told:
        read_predictions(written(tmp_path, filled), samples())
    assert "\n" not in str(told.value)
    assert str(tmp_path / "model.csv") in str(told.value)


def test_a_class_and_its_probability_have_to_be_of_one_prediction(tmp_path: Path) -> None:
    a, b, c = samples().ids
    head = f"id,predicted,{','.join(LABELS)}"
    sure = "0,0,1,0,0,0,0,0"  # of fear
    for line in (f"{b},anger,{sure}", f"{b},fear,,,,,,,,", f"{b},not_found,{sure}"):
        path = written(tmp_path, [head, f"{a},fear,{sure}", line, f"{c},not_found,,,,,,,,"])
        with pytest.raises(UsageError, match=r"largest probability; 1 times: line 3"):
            read_predictions(path, samples())
    tie = "0.5,0,0.5,0,0,0,0,0"
    lines = [head, f"{a},fear,{sure}", f"{b},fear,{tie}", f"{c},not_found,,,,,,,,"]
    assert read_predictions(written(tmp_path, lines), samples()).predicted.tolist() == [2, 2, -1]


def test_a_picture_that_a_subset_holds_twice_has_one_line_or_two(tmp_path: Path) -> None:
    name = samples().ids[0]
    twice = Samples((name, name), np.zeros(2, np.int64), np.arange(2), {})
    one = read_predictions(written(tmp_path, ["id,predicted", f"{name},fear"]), twice)
    assert one.predicted.tolist() == [LABELS.index("fear")] * 2
    lines = ["id,predicted", f"{name},fear", f"{name},anger"]
    two = read_predictions(written(tmp_path, lines), twice)
    assert two.predicted.tolist() == [LABELS.index("fear"), LABELS.index("anger")]
    with pytest.raises(UsageError, match="found an id twice; 1 times: lines 2 and 3 and 4"):
        read_predictions(written(tmp_path, [*lines, f"{name},anger"]), twice)


def test_many_faults_are_counted_and_the_first_are_named(tmp_path: Path) -> None:
    lines = ["id,predicted", *(f"{name},joy" for name in samples(100).ids)]
    with pytest.raises(UsageError, match=r"100 times: line 2: 'joy'; .*; line 6: .* and 95 more"):
        read_predictions(written(tmp_path, lines), samples(100))


def test_what_is_no_table_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"nowhere\.csv: no such file"):
        read_predictions(tmp_path / "nowhere.csv", samples())
    (tmp_path / "picture.csv").write_bytes(b"\xff\xd8\xff\xe0\x00")
    with pytest.raises(UsageError, match=r"picture\.csv: found no CSV in UTF-8"):
        read_predictions(tmp_path / "picture.csv", samples())
    with pytest.raises(UsageError, match="found no CSV in UTF-8"):
        read_predictions(tmp_path, samples())


@given(
    st.lists(
        st.one_of(
            st.none(),
            st.lists(st.integers(1, 1000), min_size=8, max_size=8),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, weights: list[list[int] | None]
) -> None:
    shares = np.zeros((len(weights), 8))
    for row, some in enumerate(weights):
        if some is not None:
            shares[row] = np.array(some) / sum(some)
    predicted = np.where(shares.any(axis=1), shares.argmax(axis=1), NOT_FOUND).astype(np.int64)
    path = tmp_path_factory.mktemp("written") / "model.csv"
    write_predictions(path, samples(len(weights)), Predictions("model", predicted, shares))
    found = read_predictions(path, samples(len(weights)))
    assert found.predicted.tolist() == predicted.tolist()
    assert found.probabilities is not None
    assert np.allclose(found.probabilities, shares, atol=1e-6)
