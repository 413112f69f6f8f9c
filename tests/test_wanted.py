"""People get the samples that need them, the rare and the doubtful ones first."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occlufer.annotation.wanted import Candidate, ordered, priority, wanted_images
from occlufer.config import AnnotationConfig, BuildConfig, SourceConfig
from occlufer.pipeline import stages_before
from occlufer.record import Facts, Record, Reject, Result, Vote
from occlufer.schema import LABELS, OCCLUSION_TYPES
from occlufer.workspace import Workspace

STAGES = stages_before("labels")


def config(votes: int = 0, share: float = 1.0) -> BuildConfig:
    annotation = AnnotationConfig(agreed_votes=votes, agreed_share=share)
    return BuildConfig((SourceConfig("synthetic", "s", {}),), annotation=annotation)


def fill(
    workspace: Workspace,
    samples: Iterable[tuple[str, dict[str, int], tuple[str, ...]]],
    no_class: dict[str, dict[str, int]] | None = None,
) -> None:
    """Put samples into the catalog: (image, {label: votes}, occlusion types)."""
    for image, votes, types in samples:
        facts = Facts(
            votes=tuple(Vote("s", label, count) for label, count in votes.items()),
            no_class=(no_class or {}).get(image),
        )
        workspace.catalog.put_records([Record(f"s/{image}", "s", "1", facts, image)])
        for stage in STAGES:
            value = {"types": list(types)} if stage == "occlusion" else {}
            workspace.catalog.put_results(stage, [Result(image, value)])


SOURCES = [
    ("alone", {"fear": 1}, ()),
    ("many", {"fear": 9, "anger": 1}, ()),
    ("none", {}, ()),
    ("tie", {"fear": 5, "anger": 5}, ()),
    ("two", {"fear": 2}, ()),
]


@pytest.mark.parametrize(
    ("votes", "share", "wanted"),
    [
        (0, 1.0, ["alone", "many", "none", "tie", "two"]),
        (0, 0.0, ["alone", "many", "none", "tie", "two"]),
        (1, 1.0, ["many", "none", "tie"]),
        (2, 1.0, ["alone", "many", "none", "tie"]),
        (2, 0.9, ["alone", "none", "tie"]),
        (10, 0.9, ["alone", "none", "tie", "two"]),
        (10, 0.91, ["alone", "many", "none", "tie", "two"]),
        (1, 0.0, ["none", "tie"]),
    ],
)
def test_samples_whose_sources_agree_are_left_out(
    workspace: Workspace, votes: int, share: float, wanted: list[str]
) -> None:
    fill(workspace, SOURCES)
    assert wanted_images(workspace, config(votes, share)) == wanted


def test_votes_for_no_expression_count_for_agreement_too(workspace: Workspace) -> None:
    samples = [("face", {"fear": 6}, ()), ("rock", {}, ())]
    fill(workspace, samples, {"face": {"unknown": 4}, "rock": {"not_a_face": 10}})
    assert wanted_images(workspace, config(10, 0.6)) == []
    assert wanted_images(workspace, config(10, 0.7)) == ["face"]


def test_only_samples_that_pass_all_stages_before_are_wanted(workspace: Workspace) -> None:
    fill(workspace, SOURCES)
    rejected = [Result("two", {}, Reject("duplicate", "s/alone"))]
    workspace.catalog.put_results("dedup", rejected)
    workspace.catalog.put_records([Record("s/new", "s", "1", Facts(), "new")])
    assert wanted_images(workspace, config()) == ["alone", "many", "none", "tie"]


def test_rare_cells_come_before_common_ones(workspace: Workspace) -> None:
    samples: list[tuple[str, dict[str, int], tuple[str, ...]]] = []
    samples += [(f"a{i}", {"happiness": 1}, ()) for i in range(8)]
    samples += [(f"b{i}", {"happiness": 1}, ("mask",)) for i in range(3)]
    samples += [("c0", {"contempt": 1}, ("hand", "mask"))]
    samples += [(f"d{i}", {}, ("mask",)) for i in range(20)]
    fill(workspace, samples)
    order = priority([image for image, _, _ in samples], workspace)
    assert "".join(image[0] for image in order) == "c" + "bbb" + "a" * 8 + "d" * 20


def test_a_rare_type_lifts_a_sample_that_shows_a_common_one_too() -> None:
    some = [Candidate(f"m{i}", "fear", ("mask",)) for i in range(5)]
    assert ordered([*some, Candidate("z", "fear", ("mask", "hair"))])[0] == "z"


def test_within_a_cell_the_sources_that_disagree_most_come_first(workspace: Workspace) -> None:
    votes = {"a": {"fear": 9, "anger": 1}, "b": {"fear": 6, "anger": 4}, "c": {"fear": 10}}
    fill(workspace, [(image, some, ()) for image, some in votes.items()])
    assert priority(["a", "b", "c"], workspace) == ["b", "a", "c"]


def test_cells_of_one_size_take_turns_so_that_raters_do_not_meet_one_class_after_another() -> None:
    cells = [(label, i) for label in LABELS for i in range(20)]
    some = [Candidate(f"{(i * 37) % 101:03d}{label}", label) for label, i in cells]
    order = ordered(some)
    for start in range(0, len(order), len(LABELS)):
        turn = {image[3:] for image in order[start : start + len(LABELS)]}
        assert turn == set(LABELS)


candidates = st.builds(
    Candidate,
    st.text("0123456789abcdef", min_size=4, max_size=4),
    st.sampled_from([*LABELS[:3], "unknown"]),
    st.lists(st.sampled_from(OCCLUSION_TYPES[:3]), unique=True, max_size=2).map(tuple),
    st.sampled_from([0.0, 0.25, 0.5]),
)


@given(st.lists(candidates, unique_by=lambda c: c.image, max_size=40), st.randoms())
def test_the_order_holds_each_sample_once_and_does_not_depend_on_how_they_came(
    some: list[Candidate], random: object
) -> None:
    order = ordered(some)
    assert sorted(order) == sorted(candidate.image for candidate in some)
    shuffled = list(some)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert ordered(shuffled) == order


@given(st.lists(candidates, unique_by=lambda c: c.image, max_size=40))
def test_no_sample_comes_before_one_whose_cell_is_half_as_large(some: list[Candidate]) -> None:
    by_image = {candidate.image: candidate for candidate in some}

    def cells(image: str) -> list[tuple[str, str]]:
        types = by_image[image].types or ("none",)
        return [(by_image[image].label, kind) for kind in types]

    sizes = Counter(itertools.chain.from_iterable(cells(image) for image in by_image))
    rarest = [min(sizes[cell] for cell in cells(image)) for image in ordered(some)]
    for place, size in enumerate(rarest):
        assert all(later * 2 > size for later in rarest[place + 1 :])
