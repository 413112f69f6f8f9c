"""Copies are dropped for one that is kept; covered siblings stay, in one group."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from occlufer.builders import dedup
from occlufer.builders.dedup import cluster_samples, find_duplicates
from occlufer.builders.duplicates import arrivals
from occlufer.builders.duplicates.stars import Drop
from occlufer.builders.hashes import find_hashes
from occlufer.builders.pixels import BadImageError, encode_png
from occlufer.builders.synthetic import FacePlan, draw_face
from occlufer.config import DedupConfig
from occlufer.record import Facts, Record, Result, Vote
from occlufer.stages import FollowingStage, ImageItem, run_stage
from occlufer.workspace import Workspace, open_workspace

Pixels = NDArray[np.uint8]
Textured = Callable[..., Pixels]


def add(
    workspace: Workspace,
    name: str,
    pixels: Any,
    rank: int = 0,
    subject: str | None = None,
    test_set: str | None = None,
) -> str:
    """Put a picture through everything that dedup stands on, and return its image."""
    pixels = np.ascontiguousarray(pixels)
    image: str = workspace.images.put(encode_png(pixels))
    facts = Facts(subject=subject, test_set=test_set)
    owner = Record(f"s{rank}/{name}", f"s{rank}", "1", facts, image, rank=rank)
    workspace.catalog.put_records([owner])
    height, width = pixels.shape[:2]
    faces = {"crop": image, "width": width, "height": height}
    workspace.catalog.put_results("faces", [Result(image, faces)])
    for stage in ("parts", "occlusion", "takedown", "rights"):
        workspace.catalog.put_results(stage, [Result(image)])
    hashes = find_hashes(ImageItem(image, owner, {"faces": faces}, workspace.images))
    workspace.catalog.put_results("hashes", [hashes])
    return image


def found(
    workspace: Workspace, groups: dict[str, str] | None = None, **changed: Any
) -> dict[str, Result]:
    """Run the stage, as a build does."""
    config, known = DedupConfig(**changed), groups or {}
    whole = partial(cluster_samples, settings=config, groups=known)
    update = partial(dedup.follow, settings=config, groups=known)
    params = {**dedup.params(config), "known": known}
    run_stage(FollowingStage("dedup", dedup.AFTER, params, whole, update), workspace)
    return {result.image: result for result in workspace.catalog.results("dedup")}


def resized(pixels: Pixels, side: int) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC))


def brighter(pixels: Pixels) -> Pixels:
    return (pixels * 0.8 + 30).astype(np.uint8)


def rotated(pixels: Pixels, degrees: float = 4, cut: int = 6) -> Pixels:
    image = Image.fromarray(pixels).rotate(degrees, resample=Image.Resampling.BILINEAR)
    return np.asarray(image)[cut : len(pixels) - cut, cut : len(pixels) - cut]


EDITS: dict[str, Callable[[Pixels], Pixels]] = {
    "smaller": lambda p: resized(p, 90),
    "mirrored": lambda p: p[:, ::-1],
    "smaller-mirrored": lambda p: resized(p, 90)[:, ::-1],
    "centre": lambda p: p[11:-11, 10:-10],
    "centre-mirrored": lambda p: p[9:-9, 9:-9][:, ::-1],
    "bottom-right": lambda p: p[20:, 20:],
    "top-left": lambda p: p[:-20, :-20],
    "top-left-a-little": lambda p: p[:-7, :-7],
    "without-top": lambda p: p[11:],
    "without-left": lambda p: p[:, 17:],
    "brighter": brighter,
    "washed-out": lambda p: np.clip(p * 1.1, 0, 255).astype(np.uint8),
    "turned-and-cut": rotated,
    "turned": lambda p: rotated(p, -5, 0),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_a_copy_is_dropped_and_the_original_is_kept(
    workspace: Workspace, textured: Textured, edit: Callable[[Pixels], Pixels]
) -> None:
    original = add(workspace, "original", textured(1), rank=0)
    copy = add(workspace, "copy", edit(textured(1)), rank=1)
    others = [add(workspace, f"other{i}", textured(10 + i), rank=0) for i in range(5)]
    results = found(workspace)
    reject = results[copy].reject
    assert reject is not None
    assert reject.reason == "duplicate"
    assert "of s0/original in the view" in reject.detail
    assert " one): phash64 " in reject.detail
    value = results[copy].value
    assert value["kept"] == original
    assert value["phash64_bits"] <= 12
    assert value["phash256_bits"] <= 64
    assert value["block_difference"] <= 16
    assert [results[i].reject for i in (original, *others)] == [None] * 6
    groups = {results[image].value["group"] for image in (original, *others)}
    assert len(groups) == 6
    assert value["group"] == results[original].value["group"]


@pytest.mark.parametrize("occluder", ["mask", "eyewear"])
def test_a_covered_sibling_is_kept_in_the_same_group(workspace: Workspace, occluder: str) -> None:
    bare = add(workspace, "bare", draw_face(FacePlan("neutral", 3, 4)).image_rgb)
    covered = add(workspace, "c", draw_face(FacePlan("neutral", 3, 4, (occluder,))).image_rgb)
    stranger = add(workspace, "stranger", draw_face(FacePlan("fear", 8, 9)).image_rgb)
    results = found(workspace)
    assert [results[i].reject for i in (bare, covered, stranger)] == [None] * 3
    group = {i: results[i].value["group"] for i in (bare, covered, stranger)}
    assert group[bare] == group[covered] != group[stranger]
    # Each names the other, and what of them is alike.
    assert results[bare].value["related"]["image"] == covered
    assert results[covered].value["related"]["image"] == bare
    assert results[bare].value["related"]["phash256_bits"] <= 64
    assert "related" not in results[stranger].value


HALVES = {
    "below": (slice(62, None), slice(None)),
    "above": (slice(0, 66), slice(None)),
    "left": (slice(None), slice(0, 66)),
    "right": (slice(None), slice(62, None)),
}


@pytest.mark.parametrize("mirrored", [False, True], ids=["as-it-is", "mirrored"])
@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_what_lies_beside_an_occluder_of_half_the_picture_tells_siblings(
    workspace: Workspace, textured: Textured, half: tuple[slice, slice], mirrored: bool
) -> None:
    covered = textured(1).copy()
    covered[half] = textured(99)[half]
    bare = add(workspace, "bare", textured(1))
    sibling = add(workspace, "sibling", covered[:, ::-1] if mirrored else covered)
    results = found(workspace)
    assert results[bare].reject is None
    assert results[sibling].reject is None
    assert results[bare].value["group"] == results[sibling].value["group"]


def test_one_subject_is_one_group_within_a_source_only(
    workspace: Workspace, textured: Textured
) -> None:
    a = add(workspace, "a", textured(1), subject="ann")
    b = add(workspace, "b", textured(2), subject="ann")
    c = add(workspace, "c", textured(3), rank=1, subject="ann")
    d = add(workspace, "d", textured(4))
    group = {image: result.value["group"] for image, result in found(workspace).items()}
    assert group[a] == group[b]
    assert len({group[a], group[c], group[d]}) == 3


def test_a_group_holds_for_every_record_of_the_same_bytes(
    workspace: Workspace, textured: Textured
) -> None:
    a = add(workspace, "a", textured(1))
    assert add(workspace, "x", textured(1), rank=1) == a
    b = add(workspace, "b", textured(2))
    results = found(workspace, groups={"s1/x": "p7", "s0/b": "p7"})
    assert results[a].value["group"] == results[b].value["group"]


def test_names_of_no_record_are_told(
    workspace: Workspace, textured: Textured, caplog: pytest.LogCaptureFixture
) -> None:
    add(workspace, "a", textured(1))
    found(workspace, groups={"s0/a": "p", "s9/gone": "p"}, keep=("s0/typo",))
    assert "no such record: s0/typo, s9/gone" in caplog.text


def test_the_user_s_groups_join_across_sources(workspace: Workspace, textured: Textured) -> None:
    a = add(workspace, "a", textured(1), subject="ann")
    b = add(workspace, "b", textured(2), subject="ann")
    c = add(workspace, "c", textured(3), rank=1)
    d = add(workspace, "d", textured(4))
    results = found(workspace, groups={"s0/b": "person 7", "s1/c": "person 7", "s9/gone": "x"})
    group = {image: result.value["group"] for image, result in results.items()}
    assert group[a] == group[b] == group[c] != group[d]


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [((128, 0), (90, 0), "first"), ((90, 0), (128, 0), "second"), ((90, 0), (128, 1), "first")],
    ids=["the-larger", "the-larger-whatever-its-name", "the-earlier-source-before-the-larger"],
)
def test_the_kept_one_is_of_the_first_source_then_the_largest(
    workspace: Workspace,
    textured: Textured,
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


@pytest.mark.parametrize(
    ("facts", "wins"),
    [
        (Facts(votes=(Vote("panel", "fear", 8), Vote("panel", "anger", 2))), True),
        (Facts(votes=(Vote("panel", "fear", 2), Vote("other", "anger", 1))), True),
        (Facts(votes=(Vote("panel", "fear", 2),), no_class={"unknown": 3}), False),
        (Facts(votes=(Vote("panel", "fear", 2),), no_class={"unknown": 1}), True),
    ],
    ids=["panel", "two-panels", "no-class", "some-say-no-class"],
)
def test_a_sample_wins_over_its_copy_if_its_votes_elect_a_class(
    workspace: Workspace, textured: Textured, facts: Facts, wins: bool
) -> None:
    # Votes are counted as the stage labels will, heads of a panel one by one.
    first = add(workspace, "first", textured(1))
    workspace.catalog.put_records([Record("s0/first", "s0", "2", facts, first)])
    copy = add(workspace, "copy", resized(textured(1), 90))
    one = Facts(votes=(Vote("source:s1", "fear"),))
    workspace.catalog.put_records([Record("s0/copy", "s0", "2", one, copy)])
    results = found(workspace)
    assert [image for image in (first, copy) if results[image].reject is None] == [
        first if wins else copy
    ]


def test_a_sample_of_conflicting_votes_never_wins_over_a_labelled_copy(
    workspace: Workspace, textured: Textured
) -> None:
    tied = add(workspace, "tied", textured(1))
    labelled = add(workspace, "labelled", resized(textured(1), 90))
    for name, image, word in (
        ("tied", tied, "anger"),
        ("x", tied, "fear"),
        ("y", labelled, "fear"),
    ):
        facts = Facts(votes=(Vote("source:s0", word),))
        workspace.catalog.put_records([Record(f"s0/{name}", "s0", "2", facts, image)])
    assert found(workspace)[tied].value["kept"] == labelled


def test_of_two_as_large_the_one_of_more_bytes_is_kept(
    workspace: Workspace, textured: Textured
) -> None:
    blurred = add(workspace, "a", resized(resized(textured(1), 64), 128))
    sharp = add(workspace, "b", textured(1))
    results = found(workspace)
    assert results[blurred].value["kept"] == sharp


def test_a_protected_copy_is_kept_beside_the_original(
    workspace: Workspace, textured: Textured
) -> None:
    original = add(workspace, "original", textured(1))
    copy = add(workspace, "copy", resized(textured(1), 90))
    assert found(workspace)[copy].reject is not None
    results = found(workspace, keep=("s0/copy",))
    assert results[copy].reject is None
    assert results[copy].value["group"] == results[original].value["group"]


def test_no_difference_of_grey_levels_drops_nothing_that_differs(
    workspace: Workspace, textured: Textured
) -> None:
    add(workspace, "a", textured(1))
    add(workspace, "b", resized(textured(1), 90))
    assert any(result.reject for result in found(workspace).values())
    kept = found(workspace, block_difference=0.0)
    assert not any(result.reject for result in kept.values())


def family(textured: Textured) -> list[Pixels]:
    """Return eight pictures, four of which are copies of the first three."""
    pictures = [textured(i, 64, 64) for i in range(4)]
    pictures += [pictures[0][:, ::-1], resized(pictures[0], 50), pictures[1][5:-5, 5:-5]]
    return [*pictures, brighter(pictures[2])]


def test_the_order_in_which_samples_came_changes_nothing(
    textured: Textured, tmp_path: Path
) -> None:
    pictures = family(textured)
    outcomes = []
    for number, order in enumerate((range(8), range(7, -1, -1), (3, 6, 0, 5, 1, 7, 4, 2))):
        with open_workspace(tmp_path / str(number)) as workspace:
            for i in order:
                add(workspace, f"p{i}", pictures[i], rank=i % 2)
            outcomes.append(found(workspace))
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert sum(result.reject is not None for result in outcomes[0].values()) == 4


@settings(max_examples=15)
@given(st.permutations(range(8)), st.integers(1, 7))
def test_samples_that_come_later_end_as_if_all_had_come_at_once(
    textured: Textured, tmp_path_factory: pytest.TempPathFactory, order: list[int], early: int
) -> None:
    pictures = family(textured)
    with open_workspace(tmp_path_factory.mktemp("once")) as workspace:
        for i in order:
            add(workspace, f"p{i}", pictures[i], rank=i % 2)
        at_once = found(workspace)
    with open_workspace(tmp_path_factory.mktemp("later")) as workspace:
        for i in order[:early]:
            add(workspace, f"p{i}", pictures[i], rank=i % 2)
        found(workspace)
        for i in order[early:]:
            add(workspace, f"p{i}", pictures[i], rank=i % 2)
        assert found(workspace) == at_once


def test_what_was_searched_before_is_not_searched_again(
    workspace: Workspace, textured: Textured, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(workspace, "a", textured(1))
    add(workspace, "b", resized(textured(1), 90))
    searched: list[int] = []
    search = arrivals.near_edges

    def counted(table: Any, limits: Any, among: Any, new: Any, rank: Any, remote: Any) -> Any:
        searched.append(int(new.sum()))
        return search(table, limits, among, new, rank, remote)

    monkeypatch.setattr(arrivals, "near_edges", counted)
    first = found(workspace)
    assert found(workspace) == first
    add(workspace, "c", textured(1)[:, ::-1], rank=1)
    found(workspace)
    found(workspace, block_difference=3.0)
    found(workspace, phash64_bits=11)
    assert searched == [2, 1, 3]


def test_a_sample_that_is_gone_leaves_no_trace(workspace: Workspace, textured: Textured) -> None:
    original = add(workspace, "original", textured(1))
    copies = [
        add(workspace, f"c{i}", resized(textured(1), side)) for i, side in enumerate((90, 80))
    ]
    assert found(workspace)[copies[0]].value["kept"] == original
    workspace.catalog.forget_records(["s0/original"])
    results = found(workspace)
    assert set(results) == set(copies)
    assert results[copies[0]].reject is None
    assert results[copies[1]].value["kept"] == copies[0]


def test_many_files_of_one_picture_leave_one(workspace: Workspace, textured: Textured) -> None:
    pixels = textured(1)
    for i in range(60):  # other bytes, but hardly another grey level
        tinted = pixels.copy()
        tinted[0, i, 2] ^= 1
        add(workspace, f"p{i}", tinted)
    results = found(workspace)
    assert sum(result.reject is None for result in results.values()) == 1
    assert len({result.value["group"] for result in results.values()}) == 1


def test_nothing_gives_nothing(workspace: Workspace) -> None:
    assert found(workspace) == {}


# Any pictures, without a workspace ----------------------------------------------------------------


def told(drop: Drop) -> tuple[Any, ...]:
    """What is said of a drop, but for whom."""
    edge = drop.edge
    return edge.view, drop.seen, edge.bits64, edge.bits256, drop.block_difference


@settings(max_examples=15)
@given(st.permutations(range(8)))
def test_duplicates_of_any_pictures_do_not_depend_on_their_order(
    textured: Textured, order: list[int]
) -> None:
    pictures = [Image.fromarray(pixels) for pixels in family(textured)]
    plain = find_duplicates(pictures, workers=1)
    mixed = find_duplicates([pictures[i] for i in order], workers=1)
    drops = {order[i]: (order[drop.kept], *told(drop)) for i, drop in mixed.dropped.items()}
    assert drops == {i: (drop.kept, *told(drop)) for i, drop in plain.dropped.items()}
    cut = sorted(tuple(sorted((order[a], order[b]))) for a, b in mixed.cut)
    assert cut == sorted(tuple(sorted(pair)) for pair in plain.cut)
    kept = {i: drop[0] for i, drop in drops.items()}
    assert len(kept) == 4
    assert not kept.keys() & set(kept.values())
    groups = dict(zip(order, mixed.groups, strict=True))
    for i in range(8):
        together = {j for j in range(8) if groups[j] == groups[i]}
        assert together == {j for j in range(8) if plain.groups[j] == plain.groups[i]}


def test_pictures_of_one_form_and_two_palettes_do_not_depend_on_their_order(
    textured: Textured,
) -> None:
    # Their pixels are the same numbers; what these mean is in the palette.
    grey = Image.fromarray(textured(1)).convert("L")
    pictures = []
    for step in (1, 2):
        picture = Image.fromarray(np.asarray(grey) // 2, "P")
        picture.putpalette([min(step + level, 255) for level in range(256) for _ in range(3)])
        pictures.append(picture)
    (there,) = find_duplicates(pictures, workers=1).dropped.items()
    (back,) = find_duplicates(pictures[::-1], workers=1).dropped.items()
    assert (there[0], there[1].kept) == (1 - back[0], 1 - back[1].kept)


def test_paths_bytes_and_pictures_are_the_same(
    textured: Textured, encoded: Callable[..., bytes], tmp_path: Path
) -> None:
    original, copy = encoded(textured(1)), encoded(resized(textured(1), 90))
    path = tmp_path / "p.png"
    path.write_bytes(original)
    for picture in (path, str(path), original, Image.fromarray(textured(1))):
        clusters = find_duplicates([copy, encoded(textured(2)), picture])
        assert {i: drop.kept for i, drop in clusters.dropped.items()} == {0: 2}


def test_what_is_no_picture_is_an_error(textured: Textured) -> None:
    with pytest.raises(BadImageError, match="not_an_image"):
        find_duplicates([b"no picture"])


def test_no_pictures_have_no_clusters() -> None:
    clusters = find_duplicates([])
    assert (clusters.dropped, clusters.groups, clusters.related()) == ({}, [], [])


def test_related_groups_name_what_is_kept_of_them(textured: Textured) -> None:
    covered = textured(1).copy()
    covered[62:] = textured(99)[62:]
    pictures = [textured(1), covered, resized(textured(1), 90), textured(2)]
    clusters = find_duplicates([Image.fromarray(p) for p in pictures])
    assert clusters.dropped.keys() == {2}
    assert clusters.related() == [[0, 1]]
