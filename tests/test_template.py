"""The labelling page asks for every answer, by a key of its own, and a change of it is noticed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from occlufer.annotation.studio import Studio
from occlufer.annotation.template import (
    INSTRUCTION,
    changes,
    check_template,
    template_sha256,
    template_text,
)
from occlufer.errors import GateError
from occlufer.schema import LABELS, OCCLUSION_TYPES


def control(name: str) -> ElementTree.Element:
    found = ElementTree.fromstring(template_text()).find(f".//*[@name='{name}']")
    assert found is not None
    return found


def test_the_expressions_have_the_keys_1_to_8_in_the_order_of_the_classes() -> None:
    choices = list(control("expression"))
    assert [choice.get("alias") for choice in choices] == [*LABELS, "uncertain", "not_a_face"]
    assert [choice.get("hotkey") for choice in choices] == list("1234567890")
    assert control("expression").get("choice") == "single-radio"
    assert control("expression").get("required") == "true"


def test_the_occlusion_types_may_be_several_or_none() -> None:
    choices = list(control("occlusion"))
    assert [choice.get("alias") for choice in choices] == [*OCCLUSION_TYPES, "none"]
    assert control("occlusion").get("choice") == "multiple"
    assert control("confidence").tag == "Rating"
    assert control("confidence").get("maxRating") == "3"


def test_no_two_answers_have_one_key() -> None:
    root = ElementTree.fromstring(template_text())
    keys = Counter(element.get("hotkey") for element in root.iter() if element.get("hotkey"))
    assert len(keys) == 10 + 7 + 1
    assert set(keys.values()) == {1}


def test_the_instruction_tells_the_keys_that_the_page_has() -> None:
    for words in ("Keys 1 to 8", "9 says that you are uncertain", "0 that this is not a face"):
        assert words in INSTRUCTION


def test_how_it_is_written_does_not_count_for_the_hash() -> None:
    text = template_text()
    root = ElementTree.fromstring(text)
    for element in root.iter():  # as an editor that sorts attributes and indents otherwise
        attributes = dict(reversed(list(element.items())))
        element.attrib.clear()
        element.attrib.update(attributes)
        element.tail = None
    other = "<!-- saved -->" + ElementTree.tostring(root, encoding="unicode")
    assert other != text
    assert template_sha256(other) == template_sha256(text)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('alias="fear"', 'alias="terror"', 'alias="terror"'),
        ('hotkey="1"', 'hotkey="q"', 'hotkey="q"'),
        ('choice="single-radio"', 'choice="multiple"', 'choice="multiple"'),
        ('maxRating="3"', 'maxRating="5"', 'maxRating="5"'),
        (
            '<Choice value="disgust" alias="disgust" hotkey="2"/>',
            "",
            'missing <Choice alias="disgust" hotkey="2" value="disgust">',
        ),
        (
            '<Choice value="disgust" alias="disgust" hotkey="2"/>',
            '<Choice value="disgust" alias="disgust" hotkey="2"/><Choice value="boredom"/>',
            'new <Choice value="boredom">',
        ),
    ],
    ids=["word", "key", "several", "steps", "gone", "added"],
)
def test_what_changes_the_page_changes_the_hash_and_is_said(old: str, new: str, said: str) -> None:
    text = template_text()
    changed = text.replace(old, new)
    assert changed != text
    assert template_sha256(changed) != template_sha256(text)
    assert said in changes(changed)
    kept = Path("label_config.xml")
    with pytest.raises(GateError) as caught:
        check_template(changed, template_sha256(text), "project 7", kept)
    message = str(caught.value)
    assert message.startswith("project 7: ")
    assert said in message
    assert "label_config.xml" in message
    assert "Labeling Interface" in message


def test_an_order_of_answers_that_is_not_ours_is_a_change() -> None:
    lines = template_text().split("\n")
    at = next(i for i, line in enumerate(lines) if 'alias="anger"' in line)
    lines[at], lines[at + 1] = lines[at + 1], lines[at]
    assert template_sha256("\n".join(lines)) != template_sha256(template_text())


def test_what_is_no_xml_is_a_change_and_no_crash() -> None:
    assert template_sha256("<View>") != template_sha256(template_text())
    assert "new <View>" in changes("<View>")


def test_the_template_as_it_is_passes() -> None:
    text = template_text()
    check_template(f"{text}\n", template_sha256(text), "project 7", Path("x"))
    assert changes(text) == "nothing that counts"


@pytest.mark.slow
def test_the_server_takes_the_template_and_gives_it_back_as_it_was(studio_server: Any) -> None:
    studio = Studio(studio_server.connection)
    project = studio.create_project("template", template_text(), 3, INSTRUCTION)
    assert template_sha256(studio.template(project)) == template_sha256(template_text())
