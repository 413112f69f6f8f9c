"""The model card of a run: what was trained on which data, how well, and what it must not do."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from string import Template
from textwrap import fill
from typing import Any

from occlufer.lock import Lock, made_with
from occlufer.schema import SPLITS
from occlufer.scope import OUT_OF_SCOPE

from .config import PRESETS

CARD_NAME = "README.md"
TITLE = "# ORSANet, trained on "
WIDTH = 100
# Licences that ask for nothing; under any other one the sources' terms hold for the weights too.
FREE = ("CC0-1.0",)
OWN_LICENCE = {"license": "apache-2.0"}
SOURCES_LICENCE = {"license": "other", "license_name": "terms-of-each-source"}
TAGS = ["facial-expression-recognition", "occlusion"]
# The Hub's names of our metrics.
METRICS = {"accuracy": "accuracy", "macro_f1": "f1"}
# What the card takes from the metrics under its own name.
AS_THEY_ARE = ("preset", "seed", "parameters", "epochs", "best_epoch", "device")
# Presets that follow the authors: their code, or their paper.
OF_AUTHORS = ("released", "paper")

USES = (
    "Research on recognising facial expressions when part of the face cannot be seen.",
    "A baseline to compare others with, on the same version of the same data.",
)
LIMITS = (
    "An expression is no proof of a feeling. Where recognising emotions is not forbidden, the EU "
    "AI Act counts it among high-risk uses, Annex III, 1(c), and whoever deploys it has to tell "
    "the people who are exposed to it, Art. 50(3).",
    "Who is shown in the training data, of which age, skin tone and place, is what its sources "
    "happen to hold; how much worse the model is for some of them was not measured.",
    "Occlusion of the training data was measured by a network, not annotated by people.",
)
DRAWN = (
    "All of its training data are drawn faces: it shows that training works, and nothing of how "
    "the model does on photographs."
)


def card_text(metrics: Mapping[str, Any], lock: Lock | None) -> str:
    """Return the card, YAML header and Markdown, of a run.

    `metrics` is the content of its metrics.json, `lock` that of its dataset; None where it is not
    at hand, e.g. because the cache alone was taken to another machine.
    """
    template = files("occlufer.cards").joinpath("model_card.md").read_text(encoding="utf-8")
    return Template(template).substitute(
        header=_header(metrics, lock),
        data_name=lock.name if lock else "data without a name",
        data_version=fill(_version(metrics, lock), WIDTH),
        version=made_with()["occlufer"],
        size=metrics["config"]["size"],
        authorship=_authorship(metrics),
        labels=", ".join(metrics["labels"]),
        priors=_bullets(_priors(metrics)),
        train=metrics["train_samples"],
        validation=metrics["validation_samples"],
        figures=_figures(metrics),
        recall=_recall(metrics),
        confusion=_confusion(metrics),
        uses=_bullets(USES),
        out_of_scope=_bullets(OUT_OF_SCOPE),
        limits=_bullets([*([DRAWN] if _is_drawn(lock) else []), *LIMITS]),
        **{key: metrics[key] for key in AS_THEY_ARE},
    )


def read_card(path: Path) -> str | None:
    """Return the card that `card_text` wrote; None if there is none, or somebody else's README."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    return text if f"\n---\n{TITLE}" in text else None


def _header(metrics: Mapping[str, Any], lock: Lock | None) -> str:
    """Return the metadata of the Hub, a line of YAML to a key; its values are JSON, as YAML has."""
    fields: dict[str, Any] = {
        **(OWN_LICENCE if _is_free(metrics, lock) else SOURCES_LICENCE),
        "library_name": "occlufer",
        "pipeline_tag": "image-classification",
        "tags": TAGS,
        "metrics": list(METRICS.values()),
    }
    if lock:
        fields |= {"datasets": [lock.name], "model-index": [_index(metrics, lock)]}
    return "\n".join(f"{key}: {json.dumps(value)}" for key, value in fields.items())


def _index(metrics: Mapping[str, Any], lock: Lock) -> dict[str, Any]:
    """Return the figures as the Hub's model index has them."""
    dataset = {
        "name": lock.name,
        "type": lock.name,
        "split": SPLITS[1],
        "args": {"version": lock.version},
    }
    task = {"type": "image-classification"}
    found = [{"type": kind, "value": metrics[name]} for name, kind in METRICS.items()]
    name = f"ORSANet ({metrics['preset']})"
    return {"name": name, "results": [{"task": task, "dataset": dataset, "metrics": found}]}


def _is_free(metrics: Mapping[str, Any], lock: Lock | None) -> bool:
    """Return whether nobody else's terms hold for the weights."""
    if lock is None or metrics["config"]["ir50"] is not None:
        return False
    licences = {licence for terms in lock.sources.values() for licence in terms["licences"]}
    return licences <= set(FREE)


def _is_drawn(lock: Lock | None) -> bool:
    kinds = {source["kind"] for source in lock.config["sources"]} if lock else set()
    return kinds == {"synthetic"}


def _version(metrics: Mapping[str, Any], lock: Lock | None) -> str:
    """Return the data's name and version, as far as they are known."""
    if lock is None:
        return (
            "A dataset whose lock was not at hand, so that its version is unknown; the key of its "
            f"cache is `{metrics['dataset_key'][:12]}`"
        )
    return f"`{lock.name}`, version `{lock.version}`"


def _priors(metrics: Mapping[str, Any]) -> list[str]:
    """Return what the model was trained with, as it really was."""
    begun = "random numbers" if metrics["config"]["ir50"] is None else "the weights of IR-50"
    return [
        f"Semantic: {metrics['priors']['semantic']}.",
        f"Landmarks: {metrics['priors']['landmark_features']}.",
        f"The image backbone was started from {begun}.",
    ]


def _authorship(metrics: Mapping[str, Any]) -> str:
    """Return whether the model is the authors', and in what it differs."""
    differences = list(_differences(metrics))
    if differences:
        return f"It is not the authors' model:\n\n{_bullets(differences)}"
    told = (
        f"Its parts, priors and recipe are those of the authors (`{metrics['preset']}`), but for "
        "what docs/differences.md of occlufer names. The weights are not theirs: they "
        "were trained anew."
    )
    return fill(told, WIDTH)


def _differences(metrics: Mapping[str, Any]) -> Iterator[str]:
    """Yield in what the model and its training are not the authors'."""
    config, preset, priors = metrics["config"], metrics["preset"], metrics["priors"]
    if config["size"] == "demo":
        yield "Its size, `demo`, is none of the paper's."
    if "SegFace" not in priors["semantic"]:
        yield f"Its semantic prior is not SegFace's, but the {priors['semantic']}."
    if "MobileFaceNet" not in priors["landmark_features"]:
        yield f"Its landmark prior is not MobileFaceNet's, but the {priors['landmark_features']}."
    if config["ir50"] is None:
        yield "Its image backbone was not started from IR-50."
    if config["without"]:
        yield f"It was trained without {', '.join(config['without'])}."
    if preset not in OF_AUTHORS:
        yield f"The recipe, `{preset}`, is not theirs."
    for name, value in PRESETS.get(preset, {}).items():
        if config[name] != value:
            yield f"`{name}` is `{config[name]}`, not `{value}` as in the preset `{preset}`."


def _figures(metrics: Mapping[str, Any]) -> str:
    rows = {
        "accuracy": "accuracy",
        "macro F1": "macro_f1",
        "accuracy after the last epoch": "last_accuracy",
        "accuracy of always guessing the commonest class": "majority_accuracy",
    }
    return _table(("figure", "value"), [(name, _share(metrics[key])) for name, key in rows.items()])


def _recall(metrics: Mapping[str, Any]) -> str:
    found = metrics["per_class_recall"].items()
    return _table(("class", "recall"), [(label, _share(value)) for label, value in found])


def _confusion(metrics: Mapping[str, Any]) -> str:
    labels, rows = metrics["labels"], metrics["confusion_matrix"]
    found = [(label, *counts) for label, counts in zip(labels, rows, strict=True)]
    return _table(("label", *labels), found)


def _share(value: float | None) -> str:
    return "no sample" if value is None else f"{value:.4f}"


def _table(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    names = list(header)
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _bullets(sentences: Iterable[str]) -> str:
    return "\n".join(
        fill(text, WIDTH, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)
        for text in sentences
    )
