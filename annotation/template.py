"""The labelling page: one template, from which the server makes what raters see."""

from __future__ import annotations

import difflib
import hashlib
from pathlib import Path
from xml.etree import ElementTree

from occlufer.errors import GateError
from occlufer.schema import ANSWERS, LABELS, OCCLUSION_TYPES

IMAGE, EXPRESSION, OCCLUSION, CONFIDENCE = "image", "expression", "occlusion", "confidence"
NO_OCCLUSION = "none"
CONFIDENCE_STEPS = 3

# {answer: key}. Letters of occlusion types: those of the words where no two want the same one.
KEYS = {
    **{label: str(number) for number, label in enumerate(LABELS, start=1)},
    "uncertain": "9",
    "not_a_face": "0",
}
OCCLUSION_KEYS = {
    "mask": "m",
    "hand": "h",
    "eyewear": "e",
    "hair": "a",
    "object": "o",
    "extraneous_face": "x",
    NO_OCCLUSION: "n",
}
CONFIDENCE_KEY = "c"

INSTRUCTION = """
<p>Which expression does the person show? Judge by what you see, also where something covers the
face. Ignore other faces in the picture.</p>
<p>Keys 1 to 8 choose an expression, 9 says that you are uncertain, 0 that this is not a face.
Letters tick what covers the face: as many as there are, or n for nothing. c says how sure you are.
Ctrl+Enter submits, Ctrl+Space skips a picture that you would rather not judge.</p>
<p>Please do not look at the answers of others.</p>
"""

# The face takes the height that the server gives pictures, however small its file is, and what is
# left of the width; beside it all answers are in sight without scrolling at 1366 x 768. The tools
# beside a picture are hidden: the server scales the picture as if they were not there, then makes
# room for them, and so cuts some 20 pixels off at each edge of a picture that is wider than high.
PAGE = """
<View style="display: flex; gap: 24px; align-items: flex-start">
  <Style>.lsf-toolbar {{ display: none }}</Style>
  <View style="flex: 1 1 0; min-width: 0">
    <Image name="{image}" value="$image" zoom="false" zoomControl="false"/>
  </View>
  <View style="flex: 0 0 auto">
    <Header value="Expression" size="5"/>
    <Choices name="{expression}" toName="{image}" choice="single-radio" required="true"
             requiredMessage="Choose an expression, or 9 or 0">
{answers}
    </Choices>
  </View>
  <View style="flex: 0 0 auto">
    <Header value="What covers the face" size="5"/>
    <Choices name="{occlusion}" toName="{image}" choice="multiple">
{types}
    </Choices>
    <Header value="How sure are you" size="5"/>
    <Rating name="{confidence}" toName="{image}" maxRating="{steps}" hotkey="{key}"/>
  </View>
</View>
"""


def template_text() -> str:
    """Return the label config that the server is given."""
    return PAGE.strip().format(
        image=IMAGE,
        expression=EXPRESSION,
        occlusion=OCCLUSION,
        confidence=CONFIDENCE,
        steps=CONFIDENCE_STEPS,
        key=CONFIDENCE_KEY,
        answers=_choices({name: KEYS[name] for name in ANSWERS}),
        types=_choices({name: OCCLUSION_KEYS[name] for name in (*OCCLUSION_TYPES, NO_OCCLUSION)}),
    )


def _choices(keys: dict[str, str]) -> str:
    """Return a line for each answer; its alias is what the server keeps, its value is shown."""
    return "\n".join(
        f'      <Choice value="{name.replace("_", " ")}" alias="{name}" hotkey="{key}"/>'
        for name, key in keys.items()
    )


def template_sha256(text: str) -> str:
    """Return the hash of what a label config says: of its elements, not of how it is written."""
    return hashlib.sha256("\n".join(_lines(text)).encode()).hexdigest()


def check_template(found: str, known_sha256: str, where: str, kept: Path) -> None:
    """Raise GateError, and say what was changed, if the server's label config is not as it was.

    `known_sha256` is the hash of what was last put there, `kept` a file with the template.
    """
    if template_sha256(found) != known_sha256:
        raise GateError(
            f"{where}: the labelling page was changed on the server ({changes(found)}); put the "
            f"text of {kept} back there, under Settings > Labeling Interface > Code, then run the "
            "same command again"
        )


def changes(found: str) -> str:
    """Return in a few words how a label config differs from the template."""
    lines = list(difflib.ndiff(_lines(template_text()), _lines(found)))
    gone = [line[2:].strip() for line in lines if line.startswith("- ")]
    new = [line[2:].strip() for line in lines if line.startswith("+ ")]
    parts = [f"{what} {_some(some)}" for what, some in (("missing", gone), ("new", new)) if some]
    return "; ".join(parts) or "nothing that counts"


def _some(lines: list[str]) -> str:
    shown = ", ".join(lines[:3])
    return shown if len(lines) <= 3 else f"{shown} and {len(lines) - 3} more"


def _lines(text: str) -> list[str]:
    """Return a line for each element, with its attributes in order; spaces do not count."""
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return text.split("\n")
    return list(_elements(root, 0))


def _elements(element: ElementTree.Element, depth: int) -> list[str]:
    attributes = "".join(f' {name}="{value}"' for name, value in sorted(element.items()))
    text = " ".join((element.text or "").split())
    lines = [f"{'  ' * depth}<{element.tag}{attributes}>{text}"]
    for child in element:
        lines += _elements(child, depth + 1)
    return lines
