"""Copies are dropped for one that is kept; covered siblings stay, in one group."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from occlufer.builders.dedup import Edge, block_difference, find_duplicates, star_clusters
from occlufer.builders.hashes import find_hashes
from occlufer.builders.pixels import encode_png
from occlufer.builders.synthetic import FacePlan, draw_face
from occlufer.config import DedupConfig
from occlufer.record import Facts, Record, Result
from occlufer.stages import ImageItem
from occlufer.workspace import Workspace, open_workspace

Pixels = NDArray[np.uint8]


def add(
    workspace: Workspace, name: str, pixels: Any, rank: int = 0, subject: str | None = None
) -> str:
    """Put a picture through everything that dedup stands on, and return its image."""
    pixels = np.ascontiguousarray(pixels)
    image: str = workspace.images.put(encode_png(pixels))
    owner = Record(f"s{rank}/{name}", f"s{rank}", "1", Facts(subject=subject), image, rank=rank)
    workspace.catalog.put_records([owner])
    height, width = pixels.shape[:2]
    faces = {"crop": image, "width": width, "height": height}
    workspace.catalog.put_results("faces", [Result(image, faces)])
    workspace.catalog.put_results("occlusion", [Result(image)])
    hashes = find_hashes(ImageItem(image, owner, {"faces": faces}, workspace.images))
    workspace.catalog.put_results("hashes", [hashes])
    return image


def found(workspace: Workspace, **changed: Any) -> dict[str, Result]:
    return {r.image: r for r in find_duplicates(workspace, DedupConfig(**changed))}


def resized(pixels: Pixels, side: int) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC))


def brighter(pixels: Pixels) -> Pixels:
    return (pixels * 0.8 + 30).astype(np.uint8)


def rotated(pixels: Pixels) -> Pixels:
    image = Image.fromarray(pixels).rotate(4, resample=Image.Resampling.BILINEAR)
    return np.asarray(image)[6:-6, 6:-6]


@pytest.mark.parametrize(
    "edit",
    [
        lambda p: resized(p, 90),
        lambda p: p[:, ::-1],
        lambda p: resized(p, 90)[:, ::-1],
        lambda p: p[11:-11, 10:-10],
        lambda p: p[20:, 20:],
        lambda p: p[:-20, :-20],
        lambda p: p[11:],
        brighter,
        rotated,
    ],
    ids=[
        *("smaller", "mirrored", "smaller-mirrored", "centre", "bottom-right", "top-left"),
        *("without-top", "brighter", "turned"),
    ],
)
def test_a_copy_is_dropped_and_the_original_is_kept(
    workspace: Workspace, textured: Callable[..., Pixels], edit: Callable[[Pixels], Pixels]
) -> None:
    original = add(workspace, "original", textured(1), rank=0)
    copy = add(workspace, "copy", edit(textured(1)), rank=1)
    others = [add(workspace, f"other{i}", textured(10 + i), rank=0) for i in range(5)]
    results = found(workspace)
    reject = results[copy].reject
    assert reject is not None
    assert reject.reason == "duplicate"
    assert "of s0/original in the view" in reject.detail
    assert results[copy].value["kept"] == original
    assert [results[i].reject for i in (original, *others)] == [None] * 6
    groups = {results[image].value["group"] for image in (original, *others)}
    assert len(groups) == 6
    assert results[copy].value["group"] == results[original].value["group"]


@pytest.mark.parametrize("occluder", ["mask", "eyewear"])
def test_a_covered_sibling_is_kept_in_the_same_group(workspace: Workspace, occluder: str) -> None:
    bare = add(workspace, "bare", draw_face(FacePlan("neutral", 3, 4)).image_rgb)
    covered = add(workspace, "c", draw_face(FacePlan("neutral", 3, 4, (occluder,))).image_rgb)
    stranger = add(workspace, "stranger", draw_face(FacePlan("fear", 8, 9)).image_rgb)
    results = found(workspace)
    assert [results[i].reject for i in (bare, covered, stranger)] == [None] * 3
    group = {i: results[i].value["group"] for i in (bare, covered, stranger)}
    assert group[bare] == group[covered] != group[stranger]


def test_one_subject_is_one_group_within_a_source_only(
    workspace: Workspace, textured: Callable[..., Pixels]
) -> None:
    a = add(workspace, "a", textured(1), subject="ann")
    b = add(workspace, "b", textured(2), subject="ann")
    c = add(workspace, "c", textured(3), rank=1, subject="ann")
    d = add(workspace, "d", textured(4))
    group = {image: result.value["group"] for image, result in found(workspace).items()}
    assert group[a] == group[b]
    assert len({group[a], group[c], group[d]}) == 3


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [((128, 0), (90, 0), "first"), ((90, 0), (128, 0), "second"), ((90, 0), (128, 1), "first")],
    ids=["the-larger", "the-larger-whatever-its-name", "the-earlier-source-before-the-larger"],
)
def test_the_kept_one_is_of_the_first_source_then_the_largest(
    workspace: Workspace,
    textured: Callable[..., Pixels],
    first: tuple[int, int],
    second: tuple[int, int],
    kept: str,
) -> None:
    images = {
        name: add(workspace, name, resized(textured(1), side), rank)
        for name, (side, rank) in (("first", first), ("second", second))
    }
    results = found(workspace)
    assert [name for name, image in images.items() if results[image].reject is None] == [kept]


def test_limits_of_zero_bits_drop_nothing_that_differs(
    workspace: Workspace, textured: Callable[..., Pixels]
) -> None:
    add(workspace, "a", textured(1))
    add(workspace, "b", resized(textured(1), 90))
    assert any(result.reject for result in found(workspace).values())
    kept = found(workspace, block_difference=0.0)
    assert not any(result.reject for result in kept.values())


def test_the_order_in_which_samples_came_changes_nothing(
    textured: Callable[..., Pixels], tmp_path: Path
) -> None:
    pictures = [textured(i, 64, 64) for i in range(4)]
    pictures += [pictures[0][:, ::-1], resized(pictures[0], 50), pictures[1][5:-5, 5:-5]]
    pictures += [brighter(pictures[2])]
    outcomes = []
    for number, order in enumerate((range(8), range(7, -1, -1), (3, 6, 0, 5, 1, 7, 4, 2))):
        with open_workspace(tmp_path / str(number)) as workspace:
            for i in order:
                add(workspace, f"p{i}", pictures[i], rank=i % 2)
            outcomes.append(found(workspace))
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert sum(result.reject is not None for result in outcomes[0].values()) == 4


def test_nothing_gives_nothing(workspace: Workspace) -> None:
    assert found(workspace) == {}


PAIRS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 20)).filter(
        lambda t: t[0] != t[1]
    ),
    max_size=25,
)


@given(PAIRS)
def test_a_dropped_sample_was_compared_with_one_that_is_kept(
    pairs: list[tuple[int, int, int]],
) -> None:
    edges = [Edge(a, b, "itself", 0, bits) for a, b, bits in pairs]
    dropped = star_clusters(10, edges, lambda edge: True)
    joined = {frozenset((a, b)) for a, b, _ in pairs}
    for position, edge in dropped.items():
        kept = edge.a + edge.b - position
        assert frozenset((position, kept)) in joined
        assert kept not in dropped
        assert kept < position
    for a, b, _ in pairs:
        assert a in dropped or b in dropped


@given(st.permutations(range(12)))
def test_the_order_of_edges_does_not_decide_who_is_dropped(order: list[int]) -> None:
    draw = np.random.default_rng(0)
    edges = [Edge(*draw.choice(10, 2, replace=False).tolist(), "itself", 0, n) for n in range(12)]
    shuffled = [edges[i] for i in order]

    def accept(edge: Edge) -> bool:
        return bool(edge.bits256 % 3)

    assert star_clusters(10, shuffled, accept) == star_clusters(10, edges, accept)


SMALL = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).uniform(20, 160, (32, 32))
)


@settings(max_examples=30, deadline=None)
@given(SMALL, st.floats(0.4, 2.0), st.floats(-40, 40))
def test_gain_and_offset_make_no_difference(picture: Any, gain: float, offset: float) -> None:
    assert block_difference(picture, picture * gain + offset) < 1e-6


@settings(max_examples=30, deadline=None)
@given(SMALL, st.integers(0, 3), st.integers(0, 3), st.floats(25, 90))
def test_a_changed_block_shows_by_how_much_it_changed(
    picture: Any, row: int, column: int, change: float
) -> None:
    changed = picture.copy()
    changed[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] += change
    assert block_difference(changed, picture) == pytest.approx(change, rel=0.05)


def test_a_plain_picture_has_no_fit_but_an_answer() -> None:
    plain = np.full((32, 32), 80.0)
    assert block_difference(plain, plain) < 1e-6
    assert np.isfinite(block_difference(np.eye(32) * 200, plain))
