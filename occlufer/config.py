"""The build's config: what `occlufer.toml` may say, and what holds where it is silent."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from occlufer.schema import LABELS, SPLITS, TABLE_1_QUOTAS

if sys.version_info >= (3, 11):
    pass
else:
    pass

# The keys of a source that are paths: relative to the config, and never published.
SOURCE_PATHS = ("path", "fer2013", "images", "urls")
# Keys that say who fetches, from where and how, and nothing of the samples: never published either.
SOURCE_PRIVATE = ("contact", "endpoint", "allow_hosts", "host_interval_s")
# The keys of sections that are paths; what they lead to is published by its hash.
SECTION_PATHS = (
    *("groups", "gold", "segface_weights"),
    *("raf_db_occlu", "ferplus_occlu", "affectnet_occlu"),
)


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name}: found {value}, expected {low} to {high}")


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name}: found {value!r}, expected one of {', '.join(choices)}")


def _check_counts(name: str, counts: Mapping[str, int] | None) -> None:
    """Raise ValueError for anything but a count for every class."""
    for label in () if counts is None else dict.fromkeys((*counts, *LABELS)):
        if label not in LABELS:
            raise ValueError(f"{name}: found {label!r}, expected the classes {', '.join(LABELS)}")
        if counts is None or label not in counts:
            raise ValueError(f"{name}: found no {label}, expected a count for every class (or 0)")
        _within(f"{name}, {label}", counts[label], 0, 100_000_000)


def _check_address(url: str) -> None:
    """Raise ValueError for an address with more than scheme, host and path.

    A secret may stand anywhere in it: of what is wrong no more is told than scheme and host.
    """
    expected = "expected http://... or https://..., the address alone"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:  # its text repeats what was given
        raise ValueError(f"url: found what is no address, {expected}") from None
    if parts.scheme not in ("http", "https", "ftp") or not host:
        raise ValueError(f"url: found what is no address of a server, {expected}")
    # With a strange letter in a password the host may end too early, in the midst of a secret.
    known = parts.scheme + ("" if "@" in url.partition(parts.netloc)[2] else f"://{host}")
    known += f":{port}" if port and "@" not in url else ""
    if parts.scheme == "ftp":
        raise ValueError(f"url: found {known}, {expected}")
    if "@" in url:
        raise ValueError(f"url: found a name or password in the address {known}, {expected}")
    if "?" in url or "#" in url or not url.isprintable() or " " in url:
        raise ValueError(f"url: found more than server and path after {known}, {expected}")


@dataclass(frozen=True)
class SourceConfig:
    """One `[[sources]]` table: its kind, its name, and the rest as its adapter reads it."""

    kind: str
    """Which adapter reads it, e.g. "image_folder"."""
    name: str
    """How the source is called in the record; unique in the build."""
    settings: Mapping[str, Any]
    """The other keys, checked by the adapter; paths are already absolute."""


@dataclass(frozen=True)
class FacesConfig:
    """The `[faces]` table."""

    detector: str = "auto"
    """"yunet" (needs weights), "mtcnn" (weights in its package), or "auto": yunet if at hand."""
    min_score: float = 0.5
    """Detections below this confidence in [0, 1] are not faces."""
    crop_margin: float = 0.25
    """What a crop of a photograph keeps around the face box, as a share of its longer side."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        _one_of("detector", self.detector, ("auto", "yunet", "mtcnn"))
        _within("min_score", self.min_score, 0, 1)
        _within("crop_margin", self.crop_margin, 0, 2)


@dataclass(frozen=True)
class OcclusionConfig:
    """The `[occlusion]` table."""

    parser: str = "built_in"
    """Who says what covers a face: "built_in" (weights in the package), or "segface" (yours)."""
    segface_weights: Path | None = None
    """SegFace's checkpoint."""
    type_threshold: float = 0.5
    """An occlusion type counts as present from this confidence in [0, 1] on."""
    severity_percent: tuple[int, ...] = (10, 20, 30, 40)
    """Where bins of severity begin, in percent of the face; what is covered less is in bin 0."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        _one_of("parser", self.parser, ("built_in", "segface"))
        if self.parser == "segface" and self.segface_weights is None:
            raise ValueError('segface_weights: found none with parser = "segface", expected a path')
        _within("type_threshold", self.type_threshold, 0, 1)
        for percent in self.severity_percent:
            _within("severity_percent", percent, 1, 100)
        if list(self.severity_percent) != sorted(set(self.severity_percent)):
            raise ValueError(
                f"severity_percent: found {list(self.severity_percent)}, expected rising numbers"
            )


@dataclass(frozen=True)
class DedupConfig:
    """The `[dedup]` table. The defaults are explained in docs/decisions/0004."""

    phash64_bits: int = 12
    """Near pictures differ in at most so many bits of the 64-bit hash, in some view,"""
    phash256_bits: int = 64
    """and in at most so many of the 256-bit hash in that view;"""
    part_bits: int = 56
    """or, of a part of both pictures, in at most so many of 256: near ones are related,"""
    block_difference: float = 16.0
    """and duplicates if no 8x8 block of the 32x32 view differs by more grey levels than this, or
    than .6 of it beyond 56 bits of 256."""
    group_size: int = 50
    """Look-alikes beyond so many in a group are cut off; copies and one subject count as one,"""
    group_width: int = 6
    """and so are those more steps apart than this."""
    groups: Path | None = None
    """A CSV with the columns record and group: records of one group stay on one side."""
    keep: tuple[str, ...] = ()
    """Records, `source/source_id`, that are never dropped as duplicates."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        _within("phash64_bits", self.phash64_bits, 0, 64)
        _within("phash256_bits", self.phash256_bits, 0, 256)
        _within("part_bits", self.part_bits, 0, 256)
        _within("block_difference", self.block_difference, 0, 255)
        _within("group_size", self.group_size, 1, 1_000_000)
        _within("group_width", self.group_width, 1, 1_000)


@dataclass(frozen=True)
class SplitConfig:
    """The `[split]` table."""

    quota: str = "proportional"
    """How many samples of each class: "exact" takes the counts of `train` and `validation`, and
    none beyond; "proportional" takes all, "none" all in the splits that their sources have."""
    validation_share: float = 880 / 7718
    """With "proportional", the share of each class that validates; Table 1's by default."""
    train: dict[str, int] | None = None
    """With "exact", how many samples of every class train, and"""
    validation: dict[str, int] | None = None
    """how many validate; Table 1 by default."""

    def __post_init__(self) -> None:
        """Check the ranges, and put in Table 1 where it holds."""
        _one_of("quota", self.quota, ("exact", "proportional", "none"))
        _within("validation_share", self.validation_share, 0, 1)
        for split in SPLITS:
            if self.quota == "exact" and getattr(self, split) is None:
                object.__setattr__(self, split, TABLE_1_QUOTAS[split])
            _check_counts(split, getattr(self, split))


@dataclass(frozen=True)
class LeaksConfig:
    """The `[leaks]` table: what training samples may have in common with test sets."""

    action: str = "fail"
    """If a training sample is near a test picture: "fail" ends the build, "drop" leaves the sample
    out, "report" goes on."""
    phash64_bits: int = 10
    """Near is at most so many bits of 64, in some view or part,"""
    phash256_bits: int = 56
    """and at most so many of 256 in that view,"""
    part_bits: int = 48
    """or of 256 in that part. Test sets are kept as hashes: no pixels confirm a look-alike."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        _one_of("action", self.action, ("fail", "drop", "report"))
        _within("phash64_bits", self.phash64_bits, 0, 64)
        _within("phash256_bits", self.phash256_bits, 0, 256)
        _within("part_bits", self.part_bits, 0, 256)


@dataclass(frozen=True)
class ListsConfig:
    """The `[lists]` table: which samples of public test sets are known to be occluded.

    The files are those of RAN (Wang et al. 2020). What they name is marked in `known_occluded`, and
    published once more as a subset of the list's name, to be tested on.
    """

    raf_db_occlu: Path | None = None
    """RAN's rafdb_occlusion_list.txt; its pictures are those of sources of kind "raf_db"."""
    ferplus_occlu: Path | None = None
    """RAN's jianfei_occlusion_list.txt, for sources of kind "ferplus"."""
    affectnet_occlu: Path | None = None
    """RAN's occlusion_affectnet_list.txt, for sources of kind "affectnet" in its first release."""


@dataclass(frozen=True)
class AnnotationConfig:
    """The `[annotation]` table: who labels on Label Studio, what, and when it is enough."""

    url: str = ""
    """A server of your own; without it `occlufer annotate start` runs one on this machine."""
    token_env: str = "LABEL_STUDIO_API_KEY"
    """The environment variable that holds the token for `url`."""
    project: str = "Occlu-FER"
    """The project's title; the one for adjudication has " (adjudication)" behind it."""
    overlap: int = 3
    """How many people label each sample."""
    agreed_votes: int = 0
    """Samples with at least so many votes by their sources are not sent to people; 0: all are,"""
    agreed_share: float = 1.0
    """if at least this share of those votes is for one answer."""
    gold: Path | None = None
    """A CSV with the columns record and label: known answers, mixed in to measure raters by."""
    coverage: float = 1.0
    """The build goes on when this share of what was sent has its answers."""
    aggregation: str = "dawid_skene"
    """How votes become a label: "dawid_skene" weighs raters, "majority" counts."""
    min_posterior: float = 0.5
    """A sample whose likeliest answer is less probable than this is unlabelled."""
    adjudicate_below: float = 0.8
    """`occlufer annotate adjudicate` asks again where the likeliest answer is less probable."""
    adjudicate_margin: int = 1
    """or where it leads by at most so many votes."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.url:
            _check_address(self.url)
        # The server takes 50 characters, and " (adjudication)" comes behind them.
        if not 1 <= len(self.project) <= 35:
            raise ValueError(f"project: found {self.project!r}, expected 1 to 35 characters")
        _within("overlap", self.overlap, 1, 100)
        _within("agreed_votes", self.agreed_votes, 0, 1_000)
        _one_of("aggregation", self.aggregation, ("dawid_skene", "majority"))
        _within("adjudicate_margin", self.adjudicate_margin, 0, 100)
        for name in ("agreed_share", "coverage", "min_posterior", "adjudicate_below"):
            _within(name, getattr(self, name), 0, 1)


@dataclass(frozen=True)
class BuildConfig:
    """A whole `occlufer.toml`; paths in it are relative to it, defaults to where you are."""

    sources: tuple[SourceConfig, ...]
    """Where samples come from; an earlier source wins where two hold the same picture."""
    out: Path = Path("occlu_fer")
    """The published folder; its name is the dataset's name."""
    workspace: Path = Path(".occlufer")
    """The folder of the catalog and the images, kept between builds."""
    accept_terms: tuple[str, ...] = ()
    """Kinds of sources whose owners' terms you hold the pictures under, e.g. "raf_db"."""
    labels: str = "source"
    """Where labels come from: "source" takes the sources' own, "label_studio" asks people too."""
    seed: int = 0
    """The seed of every draw: which groups validate, what the synthetic source plans."""
    takedown: Path = Path("takedown.jsonl")
    """The file of tombstones, beside the config: what was taken down, and never comes back."""
    workers: int = 0
    """How many images are worked on at a time; 0 means one per processor."""
    image_store: str = ""
    """The address of the workspace's images, e.g. "s3://bucket/faces"; "": in its folder."""
    engine: str = "local"
    """Who works at them: "local", threads of this process, or "dask", processes (docs/scale.md)."""
    scheduler: str = ""
    """With "dask", the address of a scheduler that runs already; "": one of this build's own."""
    weights_dir: Path | None = None
    """A folder with model weights, e.g. YuNet's; None is the one `occlufer weights pull` fills."""
    faces: FacesConfig = field(default_factory=FacesConfig)
    occlusion: OcclusionConfig = field(default_factory=OcclusionConfig)
    dedup: DedupConfig = field(default_factory=DedupConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    leaks: LeaksConfig = field(default_factory=LeaksConfig)
    lists: ListsConfig = field(default_factory=ListsConfig)
    annotation: AnnotationConfig = field(default_factory=AnnotationConfig)

    def __post_init__(self) -> None:
        """Check what no single table can."""
        if not self.sources:
            raise ValueError("no source: expected at least one [[sources]] table")
        names = [source.name for source in self.sources]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two sources are named {name!r}; give each a `name` of its own")
        _one_of("labels", self.labels, ("source", "label_studio"))
        _within("workers", self.workers, 0, 1024)
        if self.image_store and not is_address(self.image_store):
            raise ValueError(
                f"image_store: found {self.image_store!r}, expected an address, e.g. s3://bucket/faces"
            )
        _one_of("engine", self.engine, ("local", "dask"))
        if self.scheduler and self.engine == "local":
            raise ValueError('scheduler: found engine = "local", expected engine = "dask"')
        if not self.out.name.isidentifier():
            raise ValueError(
                f"out: found the name {self.out.name!r}, expected letters, digits and _, "
                "no digit first"
            )


SECTIONS = {
    "faces": FacesConfig,
    "occlusion": OcclusionConfig,
    "dedup": DedupConfig,
    "split": SplitConfig,
    "leaks": LeaksConfig,
    "lists": ListsConfig,
    "annotation": AnnotationConfig,
}

DEFAULT_CONFIG = BuildConfig(
    sources=(SourceConfig(kind="synthetic", name="synthetic", settings={}),)
)


def is_address(text: str) -> bool:
    """Return whether a path of the config is an address, e.g. s3://bucket/faces."""
    return "://" in text
