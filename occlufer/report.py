"""The report: what a build read, found, dropped and published, and how its baseline learned."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from occlufer.catalog import Catalog
from occlufer.config import DEFAULT_CONFIG, BuildConfig
from occlufer.errors import MissingError, UsageError
from occlufer.outcome import Outcome, outcomes
from occlufer.page import Cell, page, paragraph, strip, table, wide_picture
from occlufer.pipeline import STAGES
from occlufer.report_agreement import agreement
from occlufer.report_clusters import duplicates, leaks, related
from occlufer.report_occlusion import occluded_faces
from occlufer.report_sources import lost_labels, occlusion_lists
from occlufer.schema import LABELS, OCCLUSION_TYPES, SPLITS
from occlufer.score import score
from occlufer.workspace import Workspace, open_workspace

SAMPLES_PER_CLASS = 10
REJECTS_SHOWN = 200


def write_report(
    workspace: Path, run: Path | None, out: Path, config: BuildConfig = DEFAULT_CONFIG
) -> None:
    """Write one HTML page that needs nothing beside itself.

    `run` is the folder of a training run, or None; of `config` only what it says of labelling by
    people, and of who parses faces, matters. Raises MissingError if there is no build
    in `workspace` or no finished run in `run`.
    """
    if not (workspace / "catalog.sqlite").is_file():
        raise MissingError(f"{workspace}: found no catalog, expected the workspace of a build")
    training = "" if run is None else _training(run)
    with open_workspace(workspace) as opened:
        known = list(outcomes(opened.catalog))
        sections = [
            ("funnel", "What became of every record", _funnel(known)),
            ("scores", "How right every stage was", _scores(opened.catalog)),
            ("classes", "Classes, occlusion and sources", _heat(known, opened.catalog)),
            ("labels", "What the sources' labels became", lost_labels(known)),
            ("agreement", "Agreement", agreement(opened, config)),
            ("lists", "Occlusion lists", occlusion_lists(opened)),
            ("faces", "Faces and what covers them", occluded_faces(known, opened, config)),
            ("samples", "Published samples", _samples(known, opened)),
            ("duplicates", "Duplicates", duplicates(opened)),
            ("related", "Related samples", related(opened)),
            ("leaks", "Leaks", leaks(opened)),
            ("training", "The baseline", training),
            ("rejected", "What was left out", _rejected(known)),
        ]
        text = page("occlufer: build report", sections)
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f".{out.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(out)


def _funnel(known: list[Outcome]) -> str:
    """Every record ends in exactly one row."""
    counts: Counter[tuple[str, str]] = Counter(
        (o.stage, o.reject.reason if o.reject else "published") for o in known
    )
    order = ("gather", *STAGES, "")
    rows: list[tuple[str, str, int, str]] = []
    left = len(known)
    for stage, reason in sorted(counts, key=lambda key: (order.index(key[0]), key[1])):
        count = counts[stage, reason]
        rows.append(
            (stage, reason, count, f"{left - count} go on" if reason != "published" else "")
        )
        left -= count
    lead = paragraph(f"{len(known)} records were read. Each one ends in one row of this table.")
    return lead + table(("stage", "outcome", "records", ""), rows)


def _scores(catalog: Catalog) -> str:
    scores, measures = score(catalog)
    if not scores:
        return ""
    rows = [(s.stage, s.what, s.precision, s.recall, s.right, s.found, s.there) for s in scores]
    lead = paragraph(
        "Drawn faces come with their truth. Precision: of what a stage named, the share that is "
        "right. Recall: of what is there, the share that it named."
    )
    header = ("stage", "what", "precision", "recall", "right", "named", "there")
    means = [(m.stage, f"mean {m.what}, {m.unit}", m.value, m.count) for m in measures]
    return lead + table(header, rows) + table(("stage", "measure", "value", "records"), means)


def _heat(known: list[Outcome], catalog: Catalog) -> str:
    """Published samples by class, against split, source and occlusion type."""
    columns: Counter[tuple[str, str]] = Counter()
    sources: list[str] = []
    for outcome in known:
        if outcome.reject is not None:
            continue
        image = str(outcome.record.image)
        label = catalog.value("labels", image)["label"]
        columns[label, catalog.value("split", image)["split"]] += 1
        columns[label, outcome.record.source] += 1
        for name in catalog.value("occlusion", image)["types"] or ["none found"]:
            columns[label, name] += 1
        if outcome.record.source not in sources:
            sources.append(outcome.record.source)
    names = [*SPLITS, *sources, *OCCLUSION_TYPES, "none found"]
    rows: list[list[Cell]] = [
        [label, *(columns[label, name] for name in names)] for label in LABELS
    ]
    lead = paragraph("Published samples per class: by split, by source, by occlusion type found.")
    return lead + table(("class", *names), rows, heat=True)


def _samples(known: list[Outcome], workspace: Workspace) -> str:
    chosen: dict[str, list[str]] = {label: [] for label in LABELS}
    published = (str(o.record.image) for o in known if o.reject is None)
    for image in sorted(published):  # by hash: a fixed draw that favours nobody
        label = workspace.catalog.value("labels", image)["label"]
        if len(chosen[label]) < SAMPLES_PER_CLASS:
            chosen[label].append(image)
    parts = [
        f"<h3>{label}</h3>" + strip(_pictures(images, workspace))
        for label, images in chosen.items()
        if images
    ]
    lead = paragraph("A fixed draw. Below each: share of the face covered, and by what.")
    return lead + "".join(parts) if parts else ""


def _pictures(images: list[str], workspace: Workspace) -> Iterator[tuple[bytes, str]]:
    for image in images:
        occlusion = workspace.catalog.value("occlusion", image)
        crop = workspace.catalog.value("faces", image)["crop"]
        caption = f"{occlusion['ratio']:.0%} {', '.join(occlusion['types'])}"
        yield workspace.images.get(crop), caption


def _training(run: Path) -> str:
    path = run / "metrics.json"
    if not path.is_file():
        raise MissingError(f"{run}: found no metrics.json, expected the folder of a finished run")
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path}: cannot be read as JSON ({error})") from None
    rows = [(name, value) for name, value in metrics.items() if isinstance(value, (int, float))]
    pictures = [
        wide_picture(run / name, caption)
        for name, caption in (("curves.png", "learning curves"), ("confusion.png", "confusion"))
        if (run / name).is_file()
    ]
    return table(("figure", "value"), rows) + "".join(pictures)


def _rejected(known: list[Outcome]) -> str:
    left_out = [o for o in known if o.reject is not None]
    rows = [
        (o.record.id, o.stage, o.reject.reason, o.reject.detail)
        for o in left_out[:REJECTS_SHOWN]
        if o.reject is not None
    ]
    if not rows:
        return ""
    lead = (
        f"{len(left_out)} records; the first {len(rows)}. All are in the workspace's rejected.csv."
    )
    return paragraph(lead) + table(("record", "stage", "reason", "detail"), rows)
