"""The page of an evaluation: its figures, and the worst mistakes by what covers the face."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from occlufer.evaluation import FEATURES_NAME, ROOM, Place
from occlufer.evaluation_text import table as text_of
from occlufer.page import folded, page, strip, text, wide_picture

# Of each slice; of a run fewer, for each has another picture of where the model looks.
MOST_SHOWN, MOST_OF_A_RUN = 24, 8
Strips = dict[str, list[tuple[bytes, str]]]
"""{slice: pictures with captions}"""


def write_page(
    path: Path,
    place: Place,
    found: dict[str, Any],
    samples: Any,
    predictions: Any,
    run: Any = None,
) -> None:
    """Write one HTML page that needs nothing beside itself; a set without pixels has figures alone.

    `place` is the published folder, its config and its split, `found` what `evaluate` has returned,
    `run` the opened run that was evaluated, if it was one.
    """
    mistakes = import_module(f"{ROOM}.mistakes")
    worst = mistakes.worst(samples, predictions, MOST_SHOWN if run is None else MOST_OF_A_RUN)
    captions = {
        i: mistakes.caption(samples, predictions, i) for places in worst.values() for i in places
    }
    strips = _pictures(place, samples, worst, captions)
    attended = {} if run is None else _attended(run, samples, worst, captions)
    parts = [
        folded(
            f"{name}: {len(shown)} mistakes, the worst first",
            strip(shown) + (strip(attended[name]) if name in attended else ""),
        )
        for name, shown in strips.items()
        if shown
    ]
    features = path.with_name(FEATURES_NAME)
    sections = [
        ("figures", "Figures", f'<pre class="scroll" tabindex="0">{text(text_of(found))}</pre>'),
        ("mistakes", "Mistakes", "".join(parts)),
        (
            "features",
            "Features",
            wide_picture(features, "t-SNE of the features") if run and features.is_file() else "",
        ),
    ]
    path.write_text(page(f"occlufer: {predictions.name}", sections), encoding="utf-8")


def _pictures(
    place: Place,
    samples: Any,
    worst: Mapping[str, list[int]],
    captions: Mapping[int, str],
) -> Strips:
    """Return the pictures of the samples that have pixels."""
    wanted = {samples.ids[i] for i in captions}
    known = import_module(f"{ROOM}.faces").pictures_by_id(*place, wanted)
    return {
        name: [(known[samples.ids[i]], captions[i]) for i in places if samples.ids[i] in known]
        for name, places in worst.items()
    }


def _attended(
    run: Any, samples: Any, worst: Mapping[str, list[int]], captions: Mapping[int, str]
) -> Strips:
    """Return, of the same samples, where the run's model looks."""
    heat = import_module("occlufer.builders.overlay").heat
    encode = import_module("occlufer.builders.pixels").encode_png
    attention = import_module(f"{ROOM}.runs").attention_of_run
    places = sorted(captions)
    seen = {
        i: encode(heat(*one))
        for i, one in zip(places, attention(run, samples, places), strict=True)
    }
    return {name: [(seen[i], "what speaks for it") for i in some] for name, some in worst.items()}
