"""The README card of a published dataset, made from its lock."""

from __future__ import annotations

from importlib.resources import files
from string import Template
from typing import Any

from occlufer.lock import Lock
from occlufer.schema import LABEL_CODES, LABELS

from .columns import features

# The Hub's names for ranges of sizes, by the first number above.
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M"))


def card_text(lock: Lock) -> str:
    """Return the card of the dataset of this lock: YAML header and Markdown."""
    template = files("occlufer.cards").joinpath("data_card.md").read_text(encoding="utf-8")
    body = Template(template).substitute(
        name=lock.name,
        train=sum(lock.counts["train"].values()),
        validation=sum(lock.counts["validation"].values()),
        classes=_class_table(lock),
        occlusion=_table(("type", "samples"), lock.occlusion_counts.items()),
        sources=_source_table(lock),
        version=lock.made_with["occlufer"],
    )
    return f"---\n{_header(lock)}---\n\n{body}"


def _header(lock: Lock) -> str:
    from datasets import DatasetInfo, SplitDict, SplitInfo
    from datasets.info import DatasetInfosDict
    from huggingface_hub import DatasetCardData

    splits = SplitDict()
    # `datasets` refuses a split without a row: an empty one is not named.
    counted = {split: counts for split, counts in lock.counts.items() if sum(counts.values())}
    for split, counts in counted.items():
        size = sum(n for name, n in lock.sizes.items() if name.startswith(f"data/{split}-"))
        splits[split] = SplitInfo(split, num_bytes=size, num_examples=sum(counts.values()))
    total = sum(lock.sizes.values())
    info = DatasetInfo(features=features(), splits=splits, download_size=total, dataset_size=total)
    samples = sum(sum(counts.values()) for counts in lock.counts.values())
    card = DatasetCardData(
        pretty_name="Occlu-FER",
        license="other",
        license_name="terms-of-each-source",
        task_categories=["image-classification"],
        tags=["facial-expression-recognition", "occlusion"],
        size_categories=[next((name for limit, name in SIZES if samples < limit), "1M<n<10M")],
        configs=[
            {
                "config_name": "default",
                "data_files": [{"split": s, "path": f"data/{s}-*"} for s in counted],
            }
        ],
    )
    DatasetInfosDict({"default": info}).to_dataset_card_data(card)
    return str(card.to_yaml()) + "\n"


def _class_table(lock: Lock) -> str:
    rows = [
        (f"{LABELS.index(label)}", label, code, *(counts[label] for counts in lock.counts.values()))
        for label, code in zip(LABELS, LABEL_CODES, strict=True)
    ]
    return _table(("id", "class", "code", *lock.counts), rows)


def _source_table(lock: Lock) -> str:
    rows = [
        (name, terms["samples"], "; ".join(terms["licences"]), "; ".join(terms["attributions"]))
        for name, terms in lock.sources.items()
    ]
    return _table(("source", "samples", "licence", "attribution"), rows)


def _table(header: tuple[str, ...], rows: Any) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: Any) -> str:
    return " ".join(str(value).replace("|", "\\|").split())
