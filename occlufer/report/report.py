"""The report: what a build read, found, dropped and published, and how its baseline learned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from occlufer.catalog import Catalog
from occlufer.config import DEFAULT_CONFIG, BuildConfig
from occlufer.errors import UsageError
from occlufer.outcome import REJECTED_NAME, Outcome, outcomes
from occlufer.page import folded, page, paragraph, table
from occlufer.replacing import replaced
from occlufer.report.agreement import agreement
from occlufer.report.clusters import duplicates, leaks, related, with_pictures
from occlufer.report.evaluation import evaluation
from occlufer.report.funnel import funnel
from occlufer.report.heat import heat_maps
from occlufer.report.occlusion import occluded_faces
from occlufer.report.samples import contact_sheets
from occlufer.report.score import score
from occlufer.report.sources import lost_labels, occlusion_lists
from occlufer.report.training import training
from occlufer.workspace import open_built

REJECTS_SHOWN = 200


def write_report(
    workspace: Path,
    run: Path | None,
    out: Path,
    config: BuildConfig = DEFAULT_CONFIG,
    evaluated: Path | None = None,
) -> None:
    """Write one HTML page that needs nothing beside itself.

    `run` is the folder of a training run, `evaluated` that of an evaluation, or None; of `config`
    only what it says of labelling by people, and of who parses faces, matters. Raises MissingError
    if there is no build in `workspace`, no finished run in `run`, or no figures in `evaluated`.
    """
    if out.is_dir():
        raise UsageError(f"--out {out}: found a folder, expected the name of a file")
    with open_built(workspace) as opened:
        trained = "" if run is None else training(run)
        figures = "" if evaluated is None else evaluation(evaluated)
        # Without the truth of drawn faces, which is most of each record: scores read it themselves.
        known = [
            replace(o, record=replace(o.record, facts=replace(o.record.facts, truth=None)))
            for o in outcomes(opened.catalog)
        ]
        shown = with_pictures(opened)
        sections = [
            ("funnel", "What became of every record", funnel(known)),
            ("scores", "How right every stage was", _scores(opened.catalog)),
            ("classes", "Classes, occlusion and sources", heat_maps(known, opened.catalog)),
            ("labels", "What the sources' labels became", lost_labels(known)),
            ("agreement", "Agreement", agreement(opened, config)),
            ("lists", "Occlusion lists", occlusion_lists(opened)),
            ("faces", "Faces and what covers them", occluded_faces(known, opened, config)),
            ("samples", "Published samples", contact_sheets(known, opened)),
            ("duplicates", "Duplicates", duplicates(opened, shown)),
            ("related", "Related samples", related(opened, shown)),
            ("leaks", "Leaks", leaks(opened, shown)),
            ("training", "The baseline", trained),
            ("evaluation", "Evaluation", figures),
            ("rejected", "What was left out", _rejected(known)),
        ]
        text = page("occlufer: build report", sections)
    out.parent.mkdir(parents=True, exist_ok=True)
    with replaced(out) as part:
        part.write_text(text, encoding="utf-8")


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
        f"{len(left_out)} records; the first {len(rows)}. "
        f"All are in the workspace's {REJECTED_NAME}."
    )
    rejects = table(("record", "stage", "reason", "detail"), rows)
    return paragraph(lead) + folded(f"the {len(rows)} records", rejects)
