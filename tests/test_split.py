"""The split keeps groups whole; shares are met as near as can be, and the stage says what it did.

Quotas that are met exactly are tested in test_quotas.py.
"""

from __future__ import annotations

import itertools
import math
import random
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unlike import unlike

from occlufer.builders.split import BEYOND_QUOTA, stage
from occlufer.builders.splitting.assign import assign_shares
from occlufer.config import BuildConfig, SourceConfig, SplitConfig
from occlufer.errors import GateError
from occlufer.pipeline import stages_before
from occlufer.record import Facts, Record, Result
from occlufer.schema import LABELS
from occlufer.stages import run_stage
from occlufer.workspace import Workspace

SAMPLES = st.lists(
    st.tuples(st.sampled_from(LABELS[:3]), st.sampled_from("abcdefgh")), min_size=1, max_size=30
)


def distance(samples: list[tuple[str, str]], chosen: set[str], share: float) -> float:
    """Return by how many samples the classes miss their wanted counts."""
    wanted = Counter(label for label, _ in samples)
    got = Counter(label for label, group in samples if group in chosen)
    return sum(abs(got[label] - wished(n, share)) for label, n in wanted.items())


def wished(count: int, share: float) -> int:
    """Return how many of a class shall validate: halves rounded up, one at least of two or more."""
    return max(math.floor(count * share + 0.5), 1 if count > 1 and share > 0 else 0)


def split(samples: list[tuple[str, str]], share: float, seed: int = 0) -> list[str]:
    return list(assign_shares(table(samples), share, seed, strata=()))


def table(samples: list[tuple[str, str]]) -> dict[str, list[str]]:
    """The samples as a table; which of the same kind is which does not matter here."""
    labels, groups = [label for label, _ in samples], [group for _, group in samples]
    return {"sample": [f"s{i}" for i in range(len(samples))], "class": labels, "group": groups}


def validating(samples: list[tuple[str, str]], splits: list[str]) -> set[str]:
    return {g for (_, g), s in zip(samples, splits, strict=True) if s == "validation"}


@settings(max_examples=40, deadline=None)
@given(SAMPLES, st.floats(0, 1), st.integers(0, 5))
def test_split_keeps_each_group_on_one_side(
    samples: list[tuple[str, str]], share: float, seed: int
) -> None:
    splits = split(samples, share, seed)
    assert len(splits) == len(samples)
    sides = {(group, side) for (_, group), side in zip(samples, splits, strict=True)}
    assert len(sides) == len({group for _, group in samples})
    assert set(splits) <= {"train", "validation"}


@settings(max_examples=40, deadline=None)
@given(SAMPLES, st.sampled_from([0.0, 880 / 7718, 0.25, 0.5, 0.8, 1.0]))
def test_no_other_choice_of_groups_comes_nearer_to_the_wanted_counts(
    samples: list[tuple[str, str]], share: float
) -> None:
    groups = sorted({group for _, group in samples})
    best = min(
        distance(samples, set(chosen), share)
        for size in range(len(groups) + 1)
        for chosen in itertools.combinations(groups, size)
    )
    chosen = validating(samples, split(samples, share))
    assert distance(samples, chosen, share) == pytest.approx(best)


@settings(max_examples=30, deadline=None)
@given(SAMPLES, st.integers(0, 99))
def test_the_order_of_samples_changes_nothing(samples: list[tuple[str, str]], seed: int) -> None:
    shuffled = random.Random(seed).sample(samples, len(samples))
    chosen = validating(samples, split(samples, 0.3, seed))
    assert validating(shuffled, split(shuffled, 0.3, seed)) == chosen


def test_a_program_at_which_presolve_breaks_off_is_solved_without_it() -> None:
    samples = [*[("anger", "a")] * 2, *[("anger", "b")] * 2, ("disgust", "a")]
    found = split(samples, 0.3, 0)
    assert len({found[0], found[1], found[4]}) == len({found[2], found[3]}) == 1


def singles(count: int) -> list[tuple[str, str]]:
    return [(LABELS[i % 8], f"g{i}") for i in range(count)]


def test_another_seed_draws_other_groups_in_the_same_numbers() -> None:
    samples = singles(400)
    first, again, other = (split(samples, 0.25, seed) for seed in (0, 0, 1))
    assert first == again != other
    for splits in (first, other):
        counts = Counter(
            label for (label, _), s in zip(samples, splits, strict=True) if s == "validation"
        )
        assert counts == dict.fromkeys(LABELS, 13)  # 50 a class, 12.5 rounded up


def test_table_1_s_share_of_table_1_s_counts_is_near_table_1() -> None:
    totals = (755, 602, 1063, 1263, 1258, 1087, 1273, 417)
    samples = [
        (label, f"{label}{i}")
        for label, total in zip(LABELS, totals, strict=True)
        for i in range(total)
    ]
    splits = split(samples, 880 / 7718)
    assert abs(splits.count("validation") - 880) <= 4


def test_one_giant_group_stays_whole() -> None:
    samples = [(LABELS[i % 8], "all") for i in range(500)]
    assert set(split(samples, 0.1)) == {"train"}
    assert set(split(samples, 0.9)) == {"validation"}


def test_a_giant_group_does_not_keep_the_rest_from_their_share() -> None:
    samples = [("anger", "giant")] * 80 + [("anger", f"g{i}") for i in range(20)]
    splits = split(samples, 0.1)
    assert splits.count("validation") == 10
    assert set(splits[:80]) == {"train"}


def test_a_rare_class_is_seen_on_both_sides() -> None:
    samples = [("anger", f"g{i}") for i in range(40)] + [("fear", "x"), ("fear", "y")]
    assert sorted(split(samples, 0.1)[40:]) == ["train", "validation"]


def test_nothing_is_split_into_nothing() -> None:
    assert split([], 0.1) == []


def test_many_groups_of_mixed_sizes_are_split_in_a_moment() -> None:
    draw = random.Random(0)
    samples = [(draw.choice(LABELS), f"g{draw.randrange(1500)}") for _ in range(8000)]
    chosen = validating(samples, split(samples, 880 / 7718))
    assert distance(samples, chosen, 880 / 7718) <= 8


@settings(max_examples=40, deadline=None)
@given(SAMPLES, st.sets(st.sampled_from("abcdefgh")), st.floats(0, 1))
def test_groups_of_a_test_set_validate_and_the_others_make_up_the_share(
    samples: list[tuple[str, str]], tested: set[str], share: float
) -> None:
    groups = {group for _, group in samples}
    splits = list(assign_shares(table(samples), share, 0, strata=(), validating=tested))
    chosen = validating(samples, splits)
    assert tested & groups <= chosen
    free = sorted(groups - tested)
    best = min(
        short_or_over(samples, tested | set(others), share, tested)
        for size in range(len(free) + 1)
        for others in itertools.combinations(free, size)
    )
    assert short_or_over(samples, chosen, share, tested) == pytest.approx(best)


def short_or_over(
    samples: list[tuple[str, str]], chosen: set[str], share: float, tested: set[str]
) -> float:
    """Return by how many samples classes miss their counts, beyond what is tested in any case."""
    total = Counter(label for label, _ in samples)
    fixed = Counter(label for label, group in samples if group in tested)
    got = Counter(label for label, group in samples if group in chosen)
    return sum(abs(got[k] - max(wished(n, share), fixed[k])) for k, n in total.items())


def test_shares_hold_within_every_stratum_too() -> None:
    draw = random.Random(1)
    rows = [
        (
            draw.choice(LABELS[:3]),
            f"g{draw.randrange(700)}",
            draw.choice("abc"),
            draw.choice("xyyy"),
        )
        for _ in range(1200)
    ]
    names = ("class", "group", "one", "two")
    columns = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    columns["sample"] = [str(i) for i in range(len(rows))]
    splits = assign_shares(columns, 0.2, 0, strata=("one", "two"))
    for column in (2, 3):
        for label in LABELS[:3]:
            own = [i for i, row in enumerate(rows) if row[0] == label]
            share = sum(splits[i] == "validation" for i in own) / len(own)
            for value in {row[column] for row in rows}:
                there = [i for i in own if rows[i][column] == value]
                got = sum(splits[i] == "validation" for i in there)
                assert abs(got - share * len(there)) < 1, (label, value)


# The stage ----------------------------------------------------------------------------------------


def config(**split: object) -> BuildConfig:
    return BuildConfig(
        (SourceConfig("image_folder", "s", {}),),
        split=SplitConfig(**split),  # type: ignore[arg-type]
    )


@dataclass(frozen=True)
class Known:
    """A sample of the tests, as the catalog shall know it."""

    label: str
    group: str
    source_split: str | None = None
    test_set: str | None = None
    types: tuple[str, ...] = ()


def fill(workspace: Workspace, samples: dict[str, Known]) -> None:
    catalog = workspace.catalog
    catalog.put_records(
        Record(
            f"s/{image}",
            "s",
            "1",
            Facts(source_split=known.source_split, test_set=known.test_set),
            image,
        )
        for image, known in samples.items()
    )
    for name in stages_before("split"):
        catalog.put_results(
            name, [Result(image, value(name, image, known)) for image, known in samples.items()]
        )


def value(stage_name: str, image: str, known: Known) -> Mapping[str, object]:
    values: dict[str, Mapping[str, object]] = {
        "hashes": unlike(image),
        "occlusion": {"types": list(known.types), "severity": 10},
        "dedup": {"group": known.group},
        "labels": {"label": known.label},
    }
    return values.get(stage_name, {})


def results(workspace: Workspace) -> dict[str, Result]:
    return {result.image: result for result in workspace.catalog.results("split")}


def counts(**of_class: int) -> dict[str, int]:
    return {label: of_class.get(label, 0) for label in LABELS}


EXACT = {"quota": "exact", "train": counts(fear=4), "validation": counts(fear=2)}
NINE = {f"image{i}": Known("fear", f"g{i}") for i in range(9)}


def test_what_the_quotas_leave_over_is_rejected_with_a_reason(workspace: Workspace) -> None:
    fill(workspace, NINE)
    assert run_stage(stage(config(**EXACT)), workspace) == 9
    found = results(workspace)
    taken = Counter(result.value["split"] for result in found.values() if result.reject is None)
    assert taken == {"train": 4, "validation": 2}
    left = [result.reject for result in found.values() if result.reject is not None]
    assert [reject.reason for reject in left] == [BEYOND_QUOTA] * 3
    assert all(reject.detail == "the quotas of fear are full" for reject in left)
    assert len(workspace.catalog.images_passing((*stages_before("split"), "split"))) == 6


def test_quotas_out_of_reach_end_the_build_and_forget_the_former_split(
    workspace: Workspace,
) -> None:
    fill(workspace, NINE)
    run_stage(stage(config(**EXACT)), workspace)
    more = {**EXACT, "train": counts(fear=8)}
    with pytest.raises(GateError, match=r"^split: .* falls short of fear in train by 1;"):
        run_stage(stage(config(**more)), workspace)
    assert not results(workspace)


def test_a_test_sample_s_group_never_trains_however_short_train_is(workspace: Workspace) -> None:
    tested = {image: Known("fear", "same", test_set="X test") for image in ("a", "b")}
    alike = {"c": Known("fear", "same")}
    fill(workspace, {**tested, **alike, **NINE})
    run_stage(stage(config(**{**EXACT, "train": counts(fear=9)})), workspace)
    found = {image: result.value["split"] for image, result in results(workspace).items()}
    assert all(found[image] == "train" for image in NINE)
    assert sorted(str(found[image]) for image in "abc") == ["None", "validation", "validation"]


def test_without_quotas_sources_say_the_split_and_who_would_cross_validates(
    workspace: Workspace,
) -> None:
    samples = {
        "a": Known("fear", "a", "train"),
        "b": Known("fear", "b", "validation"),
        "c": Known("anger", "c", "test", "X test"),
        "d": Known("anger", "crossing", "train"),
        "e": Known("anger", "crossing", "valid"),
        "f": Known("anger", "f"),
    }
    fill(workspace, samples)
    run_stage(stage(config(quota="none")), workspace)
    found = {image: result.value["split"] for image, result in results(workspace).items()}
    validating = {image for image, split in found.items() if split == "validation"}
    assert validating == {"b", "c", "d", "e"}
    assert set(found.values()) == {"train", "validation"}


def test_the_stage_divides_types_of_occluders_alike(workspace: Workspace) -> None:
    samples = {
        f"image{i:03d}": Known("fear", f"g{i}", types=(("mask",), ("hand", "mask"))[i % 4 == 0])
        for i in range(80)
    }
    fill(workspace, samples)
    run_stage(stage(config(validation_share=0.25)), workspace)
    chosen = [i for i, r in results(workspace).items() if r.value["split"] == "validation"]
    assert Counter(samples[image].types for image in chosen) == {("mask",): 15, ("hand", "mask"): 5}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"quota": "all"}, "quota: found 'all', expected one of exact, proportional, none"),
        ({"train": {"fear": 3}}, "train: found no anger, expected a count for every class"),
        ({"validation": {"Fear": 3}}, "validation: found 'Fear', expected the classes anger, "),
        ({"train": counts(fear=-1)}, "train, fear: found -1, expected 0 to "),
    ],
    ids=["quota", "class missing", "class unknown", "negative"],
)
def test_a_config_of_quotas_that_says_what_cannot_be_is_refused(
    wrong: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        SplitConfig(**wrong)  # type: ignore[arg-type]


def test_exact_quotas_are_table_1_s_unless_the_config_says_otherwise() -> None:
    told = SplitConfig("exact")
    assert told.train == {
        **{"anger": 669, "disgust": 533, "fear": 927, "happiness": 1130},
        **{"neutral": 1114, "sadness": 960, "surprise": 1125, "contempt": 380},
    }
    assert told.validation is not None
    assert sum(told.validation.values()) == 880
    assert SplitConfig().train is None
