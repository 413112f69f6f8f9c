"""The report's contact sheets: some published samples of every class and every occlusion type."""

from __future__ import annotations

from collections.abc import Iterator

from occlufer.outcome import Outcome
from occlufer.page import paragraph, strip
from occlufer.report.heat import NONE_FOUND, TYPES
from occlufer.schema import LABELS
from occlufer.workspace import Workspace

SAMPLES_PER_SHEET = 10


def contact_sheets(known: list[Outcome], workspace: Workspace) -> str:
    """Return a row of thumbnails for every class, then for every occlusion type."""
    catalog = workspace.catalog
    by_class: dict[str, list[str]] = {label: [] for label in LABELS}
    by_type: dict[str, list[str]] = {name: [] for name in TYPES}
    published = (str(o.record.image) for o in known if o.reject is None)
    for image in sorted(published):  # by hash: a fixed draw that favours nobody
        sheets = [by_class[catalog.value("labels", image)["label"]]]
        types = catalog.value("occlusion", image)["types"] or [NONE_FOUND]
        for sheet in (*sheets, *(by_type[name] for name in types)):
            if len(sheet) < SAMPLES_PER_SHEET:
                sheet.append(image)
    covered = {n if n == NONE_FOUND else f"covered by {n}": by_type[n] for n in TYPES}
    parts = [
        f"<h3>{name}</h3>" + strip(_pictures(images, workspace))
        for name, images in (*by_class.items(), *covered.items())
        if images
    ]
    lead = paragraph(
        f"A fixed draw of {SAMPLES_PER_SHEET} at most of every class, and of every occlusion type. "
        "Below each: its class, the share of the face that is covered, and by what."
    )
    return lead + "".join(parts) if parts else ""


def _pictures(images: list[str], workspace: Workspace) -> Iterator[tuple[bytes, str]]:
    catalog = workspace.catalog
    for image in images:
        occlusion = catalog.value("occlusion", image)
        label = catalog.value("labels", image)["label"]
        what = ", ".join(occlusion["types"]).replace("_", " ") or "nothing"
        crop = catalog.value("faces", image)["crop"]
        yield workspace.images.get(crop), f"{label}; {occlusion['ratio']:.0%}, {what}"
