"""The README card of a published dataset, made from its lock."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from string import Template
from textwrap import fill
from typing import Any

from occlufer.lock import INDEX, MAIN, Lock, config_folder
from occlufer.schema import LABEL_CODES, LABELS
from occlufer.scope import OUT_OF_SCOPE

from ..markdown import escape, table
from ..tombstones import TAKEDOWN_NAME
from .attribution import FILE_NAME as ATTRIBUTION_NAME
from .columns import features, index_features
from .occlusion_lists import CITATION, FORMS
from .responsible import BIASES, LIMITATIONS, PUBLISHED_RIGHTS, USES, rights_totals
from .subsets import SPLIT

# The Hub's names for ranges of sizes, by the first number above.
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M"))
# What the Hub asks of whoever wants the data; a person of the repository's then decides.
GATE_PROMPT = (
    "These are faces of people. State who you are and what you want the data for, and agree to "
    "the following."
)
GATE_FIELDS = {
    "Name": "text",
    "Institution": "text",
    "Country": "country",
    "What I want the data for": "text",
    "I use the data for research that is not commercial": "checkbox",
    "I will not infer emotions of people at work or in education (EU AI Act, Art. 5(1)(f))": (
        "checkbox"
    ),
    "I will not identify anybody, nor build a database for recognising faces": "checkbox",
    "I keep to the terms of every source, and name whom ATTRIBUTION.md names": "checkbox",
    "I do not pass the data on, and delete what later versions have withdrawn": "checkbox",
}
PIXELS_TOLD = {
    "all": (
        "This folder holds the pixels of all of them, for whoever made it to train on. Those of "
        "index_only samples must not be passed on, so the folder must not be uploaded as it is: "
        "`occlufer publish` uploads a copy in which their `image` is empty."
    ),
    "publishable": (
        "The `image` of index_only samples is empty (None): their pixels stay with whoever holds a "
        "copy of the source, and must not be passed on. Whoever does rebuilds them with `occlufer "
        "rebuild` from copies of their own."
    ),
}
TAKEN_DOWN = (
    "Pictures that were taken down: {count}. `{file}` holds their hashes, and no later version or "
    "rebuild has them, or copies of them, again."
)
ATTRIBUTIONS_SHOWN = 5
WIDTH = 100
SUBSETS = """
## Evaluation subsets

Pictures of public test sets on which models are compared, known to be occluded by lists of
{citation}.
Cite it, and the set itself.

```python
load_dataset("{name}", "{first}", split="test")
```

A subset holds every listed picture that was at hand with a label, be it left out above as a copy, a
leak, or for want of a majority among several sources: label, votes, agreement and soft label are
those of its own source alone. What a subset holds must not be trained on.

{table}

"listed" are the pictures that the list names, "matched" those in the subset; the others were not
at hand, could not be read, or have no label in their set.

{classes}
"""

FROM_SOURCES = """
A label is the class that most votes of a sample's sources are for. Where several have most there is
none, and the sample is not in the dataset."""
FROM_PEOPLE = """
People labelled on Label Studio: what it handed to them was the picture alone, without any answer of
a source, of a model or of one another. It hides no answers from a rater who opens a task by its
number. Raters: {raters}; answers that count: {answers}, one of a rater to a sample; skipped:
{skipped}. Samples were handed out until {overlap} had answered or skipped them, and the build
waited until {coverage:.0%} of the samples had that, or a decision.{left_out}{alpha}

Their votes, and those of sources that had some, as raters of their own, became labels by
{aggregation}. What is less probable than {min_posterior}, or likelier no expression, is not in the
dataset. Where somebody decided on votes that left doubt (an adjudicator), the label is the
decision; votes, agreement and soft label are still those of the votes."""
ALPHA = " Krippendorff's alpha of the answers is {alpha:.3f}."
LEFT_OUT = (
    " Not asked for were samples with at least {agreed_votes} votes of their sources, of which at "
    "least {agreed_share:.0%} are for one answer."
)
AGGREGATIONS = {
    "dawid_skene": "the model of Dawid and Skene (1979), which weighs each rater's answers by how "
    "often they are right, and whose probabilities are calibrated",
    "majority": "majority",
}
GIVERS = {
    "adjudicator": "an adjudicator",
    "gold": "known before: gold samples, by which raters are measured",
    "people": "people, with the votes of sources that had some",
    "sources": "the sources' votes alone",
    "untold": "one of these or those: rows are missing, and an index does not say whose",
}


def card_text(lock: Lock) -> str:
    """Return the card of the dataset of this lock: YAML header and Markdown."""
    template = files("occlufer.cards").joinpath("data_card.md").read_text(encoding="utf-8")
    body = Template(template).substitute(
        name=lock.name,
        train=sum(lock.counts["train"].values()),
        validation=sum(lock.counts["validation"].values()),
        classes=class_table(lock.counts),
        occlusion=table(("type", "samples"), lock.occlusion_counts.items()),
        subsets=_subsets(lock),
        labels=_labels(lock),
        sources=source_table(lock),
        rights=rights_text(lock),
        uses=bullets(USES),
        out_of_scope=bullets(OUT_OF_SCOPE),
        limits=bullets((*LIMITATIONS, *BIASES)),
        dataset_version=lock.version,
        version=lock.made_with["occlufer"],
    )
    return f"---\n{_header(lock)}---\n\n{body}"


def _header(lock: Lock) -> str:
    from datasets.info import DatasetInfosDict
    from huggingface_hub import DatasetCardData

    counts = _samples_of(lock)
    samples = sum(counts[MAIN].values())
    card = DatasetCardData(
        pretty_name="Occlu-FER",
        license="other",
        license_name="terms-of-each-source",
        task_categories=["image-classification"],
        tags=["facial-expression-recognition", "occlusion"],
        size_categories=[next((name for limit, name in SIZES if samples < limit), "1M<n<10M")],
        configs=[_config(name, splits) for name, splits in counts.items()],
        extra_gated_prompt=GATE_PROMPT,
        extra_gated_fields=GATE_FIELDS,
    )
    infos = {name: _info(name, splits, lock) for name, splits in counts.items()}
    DatasetInfosDict(infos).to_dataset_card_data(card)
    return str(card.to_yaml()) + "\n"


def _samples_of(lock: Lock) -> dict[str, dict[str, int]]:
    """Return {config: {split: samples}}, the default one first, the index last.

    `datasets` refuses a split without a row: an empty one is not named.
    """
    counted = {split: sum(counts.values()) for split, counts in lock.counts.items()}
    splits = {split: count for split, count in counted.items() if count}
    subsets = {name: {SPLIT: subset["matched"]} for name, subset in lock.subsets.items()}
    of_subsets = {SPLIT: sum(found[SPLIT] for found in subsets.values())} if subsets else {}
    return {MAIN: splits, **subsets, INDEX: {**splits, **of_subsets}}


def _config(name: str, splits: dict[str, int]) -> dict[str, Any]:
    folder = config_folder(name)
    data_files = [{"split": split, "path": f"{folder}/{split}-*"} for split in splits]
    default = {"default": True} if name == MAIN else {}
    return {"config_name": name, **default, "data_files": data_files}


def _info(name: str, splits: dict[str, int], lock: Lock) -> Any:
    from datasets import DatasetInfo, SplitDict, SplitInfo

    sizes = {
        split: sum(n for file, n in lock.sizes.items() if file.startswith(f"{folder}/{split}-"))
        for folder in [config_folder(name)]
        for split in splits
    }
    infos = SplitDict()
    for split, count in splits.items():
        infos[split] = SplitInfo(split, num_bytes=sizes[split], num_examples=count)
    total = sum(sizes.values())
    columns = index_features() if name == INDEX else features()
    return DatasetInfo(features=columns, splits=infos, download_size=total, dataset_size=total)


def class_table(counts: dict[str, dict[str, int]]) -> str:
    """Return the table of {column: {class: samples}}."""
    rows = [
        (f"{LABELS.index(label)}", label, code, *(found[label] for found in counts.values()))
        for label, code in zip(LABELS, LABEL_CODES, strict=True)
    ]
    return table(("id", "class", "code", *counts), rows)


def _subsets(lock: Lock) -> str:
    """Return the section on evaluation subsets; nothing if there are none."""
    if not lock.subsets:
        return ""
    rows = [
        (
            name,
            FORMS[name].what,
            *(subset[key] for key in ("listed", "matched", "unmatched")),
        )
        for name, subset in lock.subsets.items()
    ]
    return SUBSETS.format(
        name=lock.name,
        first=rows[0][0],
        citation=CITATION,
        table=table(("subset", "what", "listed", "matched", "unmatched"), rows),
        classes=class_table({name: subset["counts"] for name, subset in lock.subsets.items()}),
    )


def _labels(lock: Lock) -> str:
    """Return how the labels were made, in sentences; every figure is the lock's."""
    told = lock.labels
    if told["from"] == "source":
        return FROM_SOURCES
    settings = lock.config["annotation"]
    givers = [(GIVERS[giver], count) for giver, count in told["by"].items()]
    alpha = told.get("alpha")
    text = FROM_PEOPLE.format(
        overlap=settings["overlap"],
        coverage=settings["coverage"],
        aggregation=AGGREGATIONS[settings["aggregation"]],
        min_posterior=settings["min_posterior"],
        alpha="" if alpha is None else ALPHA.format(alpha=alpha),
        left_out=LEFT_OUT.format(**settings) if settings["agreed_votes"] else "",
        **{name: told.get(name, 0) for name in ("raters", "answers", "skipped")},
    )
    paragraphs = [fill(part, WIDTH) for part in text.strip().split("\n\n")]
    return "\n" + "\n\n".join([*paragraphs, table(("label given by", "samples"), givers)])


def source_table(lock: Lock) -> str:
    """Return the table of sources: how much of each, under which rights, whom to name."""
    rows = [
        (
            escape(name),
            terms["samples"] + terms["only_in_subsets"],
            *(terms["rights"][right] for right in PUBLISHED_RIGHTS),
            "; ".join(map(escape, terms["licences"])),
            _whom(terms),
        )
        for name, terms in lock.sources.items()
    ]
    header = ("source", "samples", *PUBLISHED_RIGHTS, "licence", "attribution")
    return table(header, rows)


def _whom(terms: dict[str, Any]) -> str:
    whom = [escape(text) for text in terms["attributions"][:ATTRIBUTIONS_SHOWN]]
    more = len(terms["attributions"]) > len(whom) or terms["own_attribution"]
    return "; ".join([*whom, *([f"others: see {ATTRIBUTION_NAME}"] if more else [])])


def rights_text(lock: Lock) -> str:
    """Return how many samples are under which rights, and what that means for their pixels."""
    totals = rights_totals(lock)
    counted = f"{totals['publishable']} samples are publishable, {totals['index_only']} index_only."
    told = fill(PIXELS_TOLD[lock.pixels], WIDTH) if totals["index_only"] else ""
    return "\n".join(part for part in (counted, told, taken_down_text(lock)) if part)


def taken_down_text(lock: Lock) -> str:
    """Return the sentence on what was taken down; nothing if nothing was."""
    taken_down = lock.config.get("takedown")
    if not taken_down:
        return ""
    text = TAKEN_DOWN.format(count=taken_down["tombstones"], file=TAKEDOWN_NAME)
    return fill(text, WIDTH)


def bullets(sentences: Iterable[str]) -> str:
    """Return a list, a sentence or more each, in lines of WIDTH."""
    return "\n".join(
        fill(text, WIDTH, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)
        for text in sentences
    )
