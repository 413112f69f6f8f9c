"""The services together: which there are, what is refused, answers that have changed."""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occlufer.builders.web.errors import FetchError, ServiceError
from occlufer.builders.web.fetch import Fetched
from occlufer.builders.web.services import REFUSED, SERVICES, search_of
from occlufer.errors import UsageError

QUERY = "scared face mask"


@dataclass(frozen=True)
class Settings:
    licences: tuple[str, ...] = ("CC0", "CC-BY")
    limit: int = 100
    endpoint: str = ""


class Scripted:
    """A client that answers the same to everything, and notes what it is asked."""

    def __init__(self, data: bytes | FetchError = b"{}") -> None:
        self.data = data
        self.asked: list[tuple[str, Mapping[str, str] | None]] = []

    def get(
        self,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        max_bytes: int | None = None,
    ) -> Fetched:
        self.asked.append((url, params))
        if isinstance(self.data, FetchError):
            raise self.data
        return Fetched(self.data, url, {}, "2025-01-01T00:00:00+00:00")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLICKR_API_KEY", "a-key-of-flickr")
    for name in ("OPENVERSE_CLIENT_ID", "OPENVERSE_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)


# Which there are ----------------------------------------------------------------------------------


def test_every_service_is_found_by_its_name() -> None:
    assert list(SERVICES) == ["openverse", "commons", "flickr", "internet_archive"]
    for name, search in SERVICES.items():
        assert search_of(name) is search
        assert inspect.isgeneratorfunction(search)


@pytest.mark.parametrize("name", ["pexels", "unsplash"])
def test_a_service_that_forbids_datasets_is_refused_with_the_reason(name: str) -> None:
    assert name in REFUSED
    with pytest.raises(UsageError, match=f"service: {name} is refused: its terms forbid"):
        search_of(name)


def test_a_service_that_is_not_known_is_refused_with_those_that_are() -> None:
    with pytest.raises(UsageError, match=r"found 'google', expected one of openverse, .*, urls"):
        search_of("google")


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("openverse", "https://api.openverse.org/v1/images/"),
        ("commons", "https://commons.wikimedia.org/w/api.php"),
        ("flickr", "https://api.flickr.com/services/rest/"),
        ("internet_archive", "https://archive.org/advancedsearch.php"),
    ],
)
def test_the_public_service_is_asked_if_no_other_is_named(name: str, address: str) -> None:
    client = Scripted(FetchError("http_404", "found status 404, expected 200"))
    with pytest.raises(ServiceError, match=f"^{name}, .*: http_404: found status 404"):
        list(SERVICES[name](QUERY, client, Settings()))
    assert [url for url, _ in client.asked] == [address]


@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize("endpoint", ["nowhere", "file:///etc/passwd", "http://[", "http://a:b@c/"])
def test_an_endpoint_that_is_no_address_is_refused(name: str, endpoint: str) -> None:
    client = Scripted()
    with pytest.raises(UsageError, match=f"{name}, endpoint: found .*, expected"):
        list(SERVICES[name](QUERY, client, Settings(endpoint=endpoint)))
    assert not client.asked


# What they answer --------------------------------------------------------------------------------

BY = "https://creativecommons.org/licenses/by/4.0/"
# One photograph of each, in no more fields than are read: {what is asked for: answer}.
SHAPES: dict[str, dict[str, Any]] = {
    "openverse": {
        "search": {
            "page_count": 1,
            "results": [
                {
                    "id": "0aff3595",
                    "title": "Masked",
                    "url": "https://example.org/a.jpg",
                    "foreign_landing_url": "https://example.org/a",
                    "creator": "Anna",
                    "license": "by",
                    "license_version": "4.0",
                    "license_url": BY,
                    "filetype": "jpg",
                    "tags": [{"name": "mask"}],
                    "mature": False,
                }
            ],
        }
    },
    "commons": {
        "search": {
            "batchcomplete": True,
            "query": {
                "pages": [
                    {
                        "pageid": 1,
                        "title": "File:A.jpg",
                        "index": 1,
                        "imageinfo": [
                            {
                                "url": "https://example.org/a.jpg",
                                "thumburl": "https://example.org/1920px-a.jpg",
                                "descriptionurl": "https://example.org/a",
                                "width": 4000,
                                "height": 3000,
                                "mime": "image/jpeg",
                                "sha1": "a" * 40,
                                "user": "Anna",
                                "extmetadata": {"LicenseUrl": {"value": BY}},
                            }
                        ],
                    }
                ]
            },
        }
    },
    "flickr": {
        "licences": {"stat": "ok", "licenses": {"license": [{"id": 11, "name": "BY", "url": BY}]}},
        "search": {
            "stat": "ok",
            "photos": {
                "pages": "1",
                "photo": [
                    {
                        "id": "1",
                        "owner": "2@N07",
                        "title": "Masked",
                        "license": "11",
                        "ownername": "Anna",
                        "tags": "mask",
                        "machine_tags": "",
                        "url_o": "https://example.org/a_o.jpg",
                        "width_o": "1000",
                        "height_o": 900,
                    }
                ],
            },
        },
    },
    "internet_archive": {
        "search": {"response": {"numFound": 1, "docs": [{"identifier": "a", "licenseurl": BY}]}},
        "item": {
            "files": [{"name": "a.jpg", "source": "original", "sha1": "a" * 40}],
            "metadata": {"licenseurl": BY, "title": "Masked", "creator": ["Anna"], "subject": "x"},
        },
    },
}
VALUES: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2) | st.floats(),
    st.text(max_size=5) | st.sampled_from(["1", "ok", "fail", "https://example.org/b", "<b>"]),
    st.sampled_from([[], {}, [None], [{}], [[]], {"a": 1}, {"value": 1}, {"value": {}}]),
)


class Shaped(Scripted):
    """A client that answers one of the shapes."""

    def __init__(self, shapes: dict[str, Any]) -> None:
        super().__init__()
        self.shapes = shapes

    def get(
        self,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        max_bytes: int | None = None,
    ) -> Fetched:
        is_item = "/metadata/" in url
        is_licences = (params or {}).get("method", "").endswith("getInfo")
        self.asked.append((url, params))
        name = "item" if is_item else "licences" if is_licences else "search"
        return Fetched(json.dumps(self.shapes[name]).encode(), url, {}, "2025-01-01T00:00:00Z")


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (container, key) of everything within a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in list(inner):
        yield value, key
        if isinstance(item, dict | list):
            yield from places(item)


@pytest.mark.parametrize("name", SERVICES)
def test_the_shapes_give_a_photograph(name: str) -> None:
    (photograph,) = SERVICES[name](QUERY, Shaped(SHAPES[name]), Settings(limit=3))
    assert photograph.licence == "CC-BY-4.0"
    assert photograph.service == name


@pytest.mark.parametrize("name", SERVICES)
def test_a_field_that_is_missing_gives_an_error_or_a_photograph_that_says_less(name: str) -> None:
    whole = copy.deepcopy(SHAPES[name])
    for number, _ in enumerate(list(places(whole))):
        shapes = copy.deepcopy(SHAPES[name])
        container, key = list(places(shapes))[number]
        if container is not shapes:
            del container[key]
            found_or_raised(name, shapes)


@pytest.mark.parametrize("name", SERVICES)
@given(data=st.data())
def test_a_field_that_has_changed_gives_an_error_or_a_photograph_that_says_less(
    name: str, data: st.DataObject
) -> None:
    shapes = copy.deepcopy(SHAPES[name])
    within = [place for shape in shapes.values() for place in places(shape)]
    container, key = data.draw(st.sampled_from(within))
    container[key] = data.draw(VALUES)
    found_or_raised(name, shapes)


@pytest.mark.parametrize("name", SERVICES)
@given(data=st.binary())
def test_whatever_a_service_answers_only_its_own_error_is_raised(name: str, data: bytes) -> None:
    with pytest.raises(ServiceError, match=f"^{name}, "):
        list(SERVICES[name](QUERY, Scripted(data), Settings(limit=3)))


def found_or_raised(name: str, shapes: dict[str, Any]) -> None:
    """Search; anything but a ServiceError that names the service is a mistake."""
    raised, found = "", []
    try:
        found = list(SERVICES[name](QUERY, Shaped(shapes), Settings(limit=3)))
    except ServiceError as error:
        raised = str(error)
    assert not raised or raised.startswith(f"{name}, ")
    assert len(found) <= 1
    for photograph in found:
        assert photograph.url.startswith("https://")
        # Flickr's numbers 1 and 2 are licences as well.
        others = {"CC-BY-NC-SA-2.0", "CC-BY-NC-2.0"} if name == "flickr" else set()
        assert photograph.licence in {"", "CC-BY-4.0", "CC-BY", *others}
