"""What is read from answers: photographs, texts of others, fields, pages."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occlufer.builders.web import answers, plain_text
from occlufer.builders.web.answers import Answer, Remembered, ask
from occlufer.builders.web.errors import FetchError, ServiceError
from occlufer.builders.web.fetch import Fetched
from occlufer.builders.web.paging import MAX_LEFT_OUT, LeftOut, page_size, photographs
from occlufer.builders.web.photograph import Photograph, opt_out_tag
from occlufer.builders.web.plain_text import MAX_LENGTH, page_address, plain


class Scripted:
    """A client that answers the same to everything."""

    def __init__(self, data: bytes | FetchError = b"{}") -> None:
        self.data = data

    def get(
        self,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        max_bytes: int | None = None,
    ) -> Fetched:
        if isinstance(self.data, FetchError):
            raise self.data
        return Fetched(self.data, url, {}, "2025-01-01T00:00:00+00:00")


# A photograph -------------------------------------------------------------------------------------


@given(
    st.builds(
        Photograph,
        *[st.text(min_size=1)] * 2,
        *[st.text()] * 8,
        said=st.dictionaries(st.text(), st.text()),
    )
)
def test_a_photograph_survives_json(photograph: Photograph) -> None:
    text = json.dumps(photograph.to_json())
    assert Photograph.from_json(json.loads(text)) == photograph


def test_json_of_a_photograph_holds_what_is_said_alone() -> None:
    photograph = Photograph("https://example.org/a.jpg", "urls", title="A")
    assert photograph.to_json() == {
        "url": "https://example.org/a.jpg",
        "service": "urls",
        "title": "A",
    }


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ([], ""),
        (["mask", "portrait"], ""),
        (["mask", "no_cv"], "tag no_cv"),
        (["NoCV"], "tag NoCV"),
        (["no ai training"], "tag no ai training"),
        (["snocv", "cv", "no"], ""),
    ],
)
def test_tags_that_reserve_a_picture_are_known_in_any_spelling(
    tags: list[str], reason: str
) -> None:
    assert opt_out_tag(tags) == reason


# Texts of others ----------------------------------------------------------------------------------

MARKUP = "< > </ <! <!-- --> <![ ]> & &lt; &gt; &amp; &#60; ; <b> <script> </script> <? \x00 = / '"
HTML = st.lists(st.sampled_from([*MARKUP.split(), "script", "b", "a href=", '"', " "])).map("".join)


@given(st.one_of(HTML, st.text()))
def test_plain_text_has_no_tags_no_controls_and_one_line(text: str) -> None:
    line = plain(text)
    assert not set(line) & set("<>\n\r\t\x00\u2028\u202e")
    assert line == " ".join(line.split())
    assert len(line) <= MAX_LENGTH
    line.encode()  # no half of a character


@given(st.text(st.characters(exclude_characters="<>&", exclude_categories=["C", "Z"]), min_size=1))
def test_text_that_is_plain_stays_as_it_is(text: str) -> None:
    assert plain(text) == text[:MAX_LENGTH] or len(text) > MAX_LENGTH


@pytest.mark.parametrize("text", ["<" * 100_000, "<a " * 50_000, "&lt;" * 50_000, "<![" * 30_000])
def test_a_long_text_takes_no_long_time(text: str) -> None:
    assert len(plain(text)) <= MAX_LENGTH


def test_a_text_that_is_cut_says_so() -> None:
    assert plain("x" * 1000) == "x" * (MAX_LENGTH - 3) + "..."


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://example.org/a?b#c", "https://example.org/a?b#c"),
        (" http://example.org ", "http://example.org"),
        ("javascript:alert(1)", ""),
        ("data:text/html,x", ""),
        ("//example.org/a", ""),
        ("https://me:pass@example.org/", ""),
        ("https://exa\nmple.org/", ""),
        ("", ""),
    ],
)
def test_only_addresses_of_the_web_are_kept_as_pages(text: str, address: str) -> None:
    assert page_address(text) == address


# Answers ------------------------------------------------------------------------------------------


def test_whole_numbers_may_be_written_as_texts() -> None:
    answer = Answer("here", {"a": 7, "b": "7", "c": 0})
    assert [answer.number(name) for name in "abc"] == [7, 7, 0]


@pytest.mark.parametrize(
    "value", [None, True, 1.0, -1, "", "-1", "1.0", "7 ", "\u0667", [], "9" * 99]
)
def test_what_is_no_whole_number_is_an_error(value: Any) -> None:
    with pytest.raises(ServiceError, match=r"^here, a: found .*, expected a whole number$"):
        Answer("here", {"a": value}).number("a")


def test_an_error_never_shows_what_objects_and_lists_hold() -> None:
    told = str(Answer("here", {"a": {"key": "secret"}, "b": ["secret"]}).wrong("a", "a text"))
    assert told == "here, a: found an object, expected a text"
    assert answers.described(["secret"]) == "a list of 1"
    assert len(answers.described("x" * 1000)) == answers.SHOWN_LENGTH


def test_a_secret_in_an_answer_is_struck_out_before_it_is_read() -> None:
    answer = ask(Scripted(b'{"a": "my s3cret!"}'), "here", "https://e.org", secrets=("s3cret",))
    assert answer.text("a") == "my ***!"


def test_a_fetch_that_fails_is_the_service_s_error_without_its_request() -> None:
    client = Scripted(FetchError("http_503", "https://e.org/a: found status 503", again=True))
    with pytest.raises(ServiceError, match=r"^here: http_503: https://e\.org/a: found") as caught:
        ask(client, "here", "https://e.org/a", params={"key": "s3cret"})
    assert caught.value.again
    assert caught.value.__context__ is caught.value.__cause__ is None


def test_what_was_asked_once_is_remembered_for_a_client_until_it_is_too_old() -> None:
    now = [0.0]
    asked: list[str] = []
    remembered: Remembered[str] = Remembered(lambda: now[0])

    def ask_for(name: str) -> Callable[[], tuple[str, float]]:
        def answer() -> tuple[str, float]:
            asked.append(name)
            return name, 10.0

        return answer

    one, other = Scripted(), Scripted()
    for client, name in ((one, "a"), (one, "a"), (one, "b"), (other, "a")):
        assert remembered.get(client, (name,), ask_for(name)) == name
    assert asked == ["a", "b", "a"]
    now[0] = 9.9
    remembered.get(one, ("a",), ask_for("a"))
    assert len(asked) == 3
    now[0] = 10.0
    remembered.get(one, ("a",), ask_for("a"))
    assert len(asked) == 4


# Pages --------------------------------------------------------------------------------------------


def results(*ids: object) -> list[Answer]:
    return [Answer(f"here, {i}", {"id": i}) for i in ids]


def read(result: Answer) -> Photograph:
    if result.text("id") == "unwanted":
        raise LeftOut("unwanted")
    return Photograph(result.text("id"), "here")


def listed(*pages: list[Answer], limit: int = 100) -> list[str]:
    return [p.url for p in photographs("here", pages, "id", read, limit)]


def test_results_on_two_pages_are_taken_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert listed(results("a", "b"), results("b", "c")) == ["a", "b", "c"]
    assert caplog.messages == ["here: left out 1 results: 1 repeated"]


def test_a_page_of_known_results_alone_is_an_error() -> None:
    with pytest.raises(ServiceError, match="here: found page 2 once more, expected new results"):
        listed(results("a", "b"), results("b", "a"), results("c"))


def test_no_page_is_asked_for_before_its_results_are_wanted() -> None:
    asked: list[int] = []

    def pages() -> Iterator[list[Answer]]:
        for number in range(100):
            asked.append(number)
            yield results(f"{number}a", f"{number}b")

    found = photographs("here", pages(), "id", read, 3)
    assert asked == []
    assert next(found).url == "0a"
    assert asked == [0]
    assert len(list(found)) == 2
    assert asked == [0, 1]


def test_what_was_left_out_is_told_when_the_caller_stops_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        found = photographs("here", [results("unwanted", 5, "a", "b")], "id", read, 9)
        next(found)
        found.close()
    assert caplog.messages == [
        "here: left out 2 results: 1 unwanted, 1 malformed (here, 5, id: found 5, expected a text)"
    ]
    assert caplog.records[0].levelno == logging.WARNING


def test_a_first_page_that_cannot_be_read_at_all_is_an_error() -> None:
    with pytest.raises(ServiceError, match="here, 1, id: found 1, expected a text"):
        listed(results(1, 2), results("a"))
    assert listed(results("unwanted", 1), results("a")) == ["a"]
    assert listed(results(1), results("a")) == ["a"]
    assert listed(results("a"), results(1, 2), results("b")) == ["a", "b"]


def test_a_search_without_end_in_which_nothing_can_be_used_is_given_up() -> None:
    asked: list[int] = []

    def pages() -> Iterator[list[Answer]]:
        while True:
            asked.append(len(asked))
            yield results(*(1000 * asked[-1] + n for n in range(20)))

    def unwanted(result: Answer) -> Photograph:
        raise LeftOut("unwanted")

    def usable(result: Answer) -> Photograph:
        return Photograph(result.word("id"), "here")

    assert list(photographs("here", pages(), "id", unwanted, 3)) == []
    assert len(asked) == MAX_LEFT_OUT[0] // 20
    asked.clear()
    assert list(photographs("here", pages(), "id", unwanted, 100)) == []
    assert len(asked) == MAX_LEFT_OUT[1] * 100 // 20
    assert len(list(photographs("here", pages(), "id", usable, 3000))) == 3000


@pytest.mark.parametrize(("limit", "size"), [(1, 20), (30, 30), (50, 50), (1000, 50)])
def test_results_are_asked_for_neither_in_vain_nor_one_by_one(limit: int, size: int) -> None:
    assert page_size(50, limit) == size


def test_an_error_that_may_pass_ends_the_search() -> None:
    def fails(result: Answer) -> Photograph:
        raise ServiceError("here: rate_limited", again=True)

    with pytest.raises(ServiceError, match="rate_limited"):
        list(photographs("here", [results("a")], "id", fails, 9))


def test_only_a_part_of_a_long_text_is_read_and_no_half_of_a_tag() -> None:
    assert plain("a" + "<b>" * plain_text.MAX_HTML + "end") == "a"
    assert plain("a<b " + "x" * plain_text.MAX_HTML) == "a"
