"""Licences as services, lists and people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occlufer.builders.licences import (
    ADDRESSES,
    FAMILIES,
    NAMES,
    Licence,
    agreed,
    read_families,
    read_licence,
    read_rights,
    rights_of,
)
from occlufer.builders.web.flickr import FLICKR_IDS, flickr_licence
from occlufer.schema import RIGHTS

CC = "https://creativecommons.org"
BY_4 = Licence("CC-BY-4.0", f"{CC}/licenses/by/4.0/", "publishable")


@pytest.mark.parametrize(
    ("text", "name", "url"),
    [
        # SPDX identifiers, in any case and spacing
        ("CC-BY-4.0", "CC-BY-4.0", "/licenses/by/4.0/"),
        (" cc-by-sa-3.0 ", "CC-BY-SA-3.0", "/licenses/by-sa/3.0/"),
        ("CC-BY-SA-3.0-DE", "CC-BY-SA-3.0-DE", "/licenses/by-sa/3.0/de/"),
        ("CC-BY-NC-ND-1.0", "CC-BY-NC-ND-1.0", "/licenses/by-nd-nc/1.0/"),
        ("CC0-1.0", "CC0-1.0", "/publicdomain/zero/1.0/"),
        ("PDM-1.0", "PDM-1.0", "/publicdomain/mark/1.0/"),
        # Commons' LicenseShortName
        ("CC BY-SA 4.0", "CC-BY-SA-4.0", "/licenses/by-sa/4.0/"),
        ("CC BY 3.0 igo", "CC-BY-3.0-IGO", "/licenses/by/3.0/igo/"),
        ("CC BY-SA 2.0 uk", "CC-BY-SA-2.0-UK", "/licenses/by-sa/2.0/uk/"),
        ("CC0", "CC0-1.0", "/publicdomain/zero/1.0/"),
        ("Public domain", "PDM-1.0", "/publicdomain/mark/1.0/"),
        # Openverse's codes with their version
        ("by 2.0", "CC-BY-2.0", "/licenses/by/2.0/"),
        ("by-nc-sa 2.0", "CC-BY-NC-SA-2.0", "/licenses/by-nc-sa/2.0/"),
        ("cc0 1.0", "CC0-1.0", "/publicdomain/zero/1.0/"),
        ("pdm 1.0", "PDM-1.0", "/publicdomain/mark/1.0/"),
        # written out
        ("Creative Commons Attribution 4.0 International", "CC-BY-4.0", "/licenses/by/4.0/"),
        ("Creative Commons Attribution-ShareAlike 3.0", "CC-BY-SA-3.0", "/licenses/by-sa/3.0/"),
        ("Attribution-NonCommercial 2.0 Generic", "CC-BY-NC-2.0", "/licenses/by-nc/2.0/"),
        ("Attribution-Non-Commercial-No Derivs 2.0", "CC-BY-NC-ND-2.0", "/licenses/by-nc-nd/2.0/"),
        ("Attribution 4.0 International (CC BY 4.0)", "CC-BY-4.0", "/licenses/by/4.0/"),
        ("Creative Commons Zero v1.0 Universal", "CC0-1.0", "/publicdomain/zero/1.0/"),
        ("Public Domain Dedication (CC0)", "CC0-1.0", "/publicdomain/zero/1.0/"),
        ("Public Domain Mark", "PDM-1.0", "/publicdomain/mark/1.0/"),
        # addresses
        ("https://creativecommons.org/licenses/by/4.0/", "CC-BY-4.0", "/licenses/by/4.0/"),
        ("http://www.creativecommons.org/licenses/by/4.0", "CC-BY-4.0", "/licenses/by/4.0/"),
        ("creativecommons.org/licenses/by/4.0/", "CC-BY-4.0", "/licenses/by/4.0/"),
        ("//creativecommons.org/licenses/by/4.0/", "CC-BY-4.0", "/licenses/by/4.0/"),
        ("HTTPS://CreativeCommons.org/licenses/BY/4.0/", "CC-BY-4.0", "/licenses/by/4.0/"),
        (f"{CC}/licenses/by-sa/4.0/legalcode", "CC-BY-SA-4.0", "/licenses/by-sa/4.0/"),
        (f"{CC}/licenses/by-sa/4.0/legalcode.fr", "CC-BY-SA-4.0", "/licenses/by-sa/4.0/"),
        (f"{CC}/licenses/by-sa/4.0/deed.de", "CC-BY-SA-4.0", "/licenses/by-sa/4.0/"),
        (f"{CC}/licenses/by-sa/3.0/de/deed.en", "CC-BY-SA-3.0-DE", "/licenses/by-sa/3.0/de/"),
        (f"{CC}/licenses/by/2.0/?ref=openverse", "CC-BY-2.0", "/licenses/by/2.0/"),
        (f"{CC}/licenses/by-nd-nc/1.0/", "CC-BY-NC-ND-1.0", "/licenses/by-nd-nc/1.0/"),
        (f"{CC}/publicdomain/zero/1.0/deed.pt_BR", "CC0-1.0", "/publicdomain/zero/1.0/"),
        (f"{CC}/publicdomain/mark/1.0", "PDM-1.0", "/publicdomain/mark/1.0/"),
        (f"{CC}/licenses/publicdomain/", "CC-PDDC", "/licenses/publicdomain/"),
    ],
)
def test_a_licence_has_one_name_and_one_address_however_it_is_written(
    text: str, name: str, url: str
) -> None:
    licence = read_licence(text)
    assert licence is not None
    assert (licence.name, licence.url) == (name, CC + url)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "unknown",
        "All rights reserved",
        "Attribution License",  # Flickr's name: of which version?
        "Creative Commons",
        "not CC BY 4.0",
        "CC BY 4.0, GFDL",
        "CC BY 4.0 except for advertising",
        "no public domain",
        "CC BY 9.0",
        "CC BY 4.0 de",  # 4.0 was not written for countries
        "CC BY 3.0 xx",
        "CC BY-ND-SA 4.0",
        "CC BY-NC-NC 4.0",
        "CC SA 1.0",
        "sampling+ 1.0",
        "CC0 (CC BY 4.0)",
        "Attribution-ShareAlike 4.0 International (CC BY 4.0)",
        "4",  # a number of Flickr's, or anybody's
        "http://[",
        "https://creativecommons.org/",
        "https://creativecommons.org/licenses/by/4.0/de/",
        "https://creativecommons.org/licenses/by/4.0/de/x",
        "https://creativecommons.org/licenses/sampling+/1.0/",
        "https://creativecommons.org/publicdomain/zero/2.0/",
        "https://creativecommons.org.example.com/licenses/by/4.0/",
        "https://example.com/creativecommons.org/licenses/by/4.0/",
        "https://creativecommons.org@example.com/licenses/by/4.0/",
        "https://me@creativecommons.org/licenses/by/4.0/",
        "ftp://creativecommons.org/licenses/by/4.0/",
        "https://rightsstatements.org/vocab/InC/1.0/",
        "CC BY 4.0" + " " * 5 + "x" * 400,
    ],
)
def test_what_is_not_known_is_no_licence(text: str) -> None:
    assert read_licence(text) is None
    assert rights_of(text) == "index_only"


@pytest.mark.parametrize(
    ("text", "rights"),
    [
        ("CC0", "publishable"),
        ("Public domain", "publishable"),
        ("CC BY 4.0", "publishable"),
        ("CC BY-SA 4.0", "publishable"),
        ("CC BY-NC 4.0", "publishable"),
        ("CC BY-NC-SA 4.0", "publishable"),
        ("Attribution", "publishable"),
        ("Copyrighted free use", "publishable"),
        ("FAL", "publishable"),
        ("United States Government Work", "publishable"),
        # A crop is a change; a copy needs the licence's text; nobody's objection is no permission.
        ("CC BY-ND 4.0", "index_only"),
        ("CC BY-NC-ND 2.0", "index_only"),
        ("GFDL", "index_only"),
        ("No known copyright restrictions", "index_only"),
    ],
)
def test_a_licence_says_whether_crops_may_be_passed_on(text: str, rights: str) -> None:
    licence = read_licence(text)
    assert licence is not None
    assert licence.rights == rights
    assert rights_of(text) == rights


@pytest.mark.parametrize(
    ("text", "family"),
    [("CC BY-SA 3.0 de", "CC-BY-SA"), ("CC0", "CC0"), ("GFDL 1.2", "GFDL"), ("lal 1.3", "LAL")],
)
def test_a_family_is_a_licence_without_version_and_country(text: str, family: str) -> None:
    licence = read_licence(text)
    assert licence is not None
    assert licence.family == family
    assert licence.family in FAMILIES


def test_a_licence_without_a_version_is_known_but_has_no_address() -> None:
    assert read_licence("CC BY") == Licence("CC-BY", "", "publishable")
    assert read_licence("by-nc-nd") == Licence("CC-BY-NC-ND", "", "index_only")
    assert read_licence(f"{CC}/licenses/by/") == Licence("CC-BY", "", "publishable")


@pytest.mark.parametrize(
    ("number", "name"),
    [
        ("0", None),
        ("1", "CC-BY-NC-SA-2.0"),
        ("2", "CC-BY-NC-2.0"),
        ("3", "CC-BY-NC-ND-2.0"),
        ("4", "CC-BY-2.0"),
        ("5", "CC-BY-SA-2.0"),
        ("6", "CC-BY-ND-2.0"),
        ("7", "No-Known-Copyright-Restrictions"),
        ("8", "US-Government-Work"),
        ("9", "CC0-1.0"),
        ("10", "PDM-1.0"),
        ("11", "CC-BY-4.0"),
        ("12", "CC-BY-SA-4.0"),
        ("13", "CC-BY-ND-4.0"),
        ("14", "CC-BY-NC-4.0"),
        ("15", "CC-BY-NC-SA-4.0"),
        ("16", "CC-BY-NC-ND-4.0"),
        ("17", None),
        ("", None),
        ("four", None),
    ],
)
def test_flickr_s_numbers_stand_for_licences(number: str, name: str | None) -> None:
    licence = flickr_licence(number)
    assert (licence and licence.name) == name


@pytest.mark.parametrize(
    ("stated", "name"),
    [
        (("CC BY", f"{CC}/licenses/by/4.0/"), "CC-BY-4.0"),
        ((f"{CC}/licenses/by/4.0/", "CC BY"), "CC-BY-4.0"),
        (("CC BY 4.0", ""), "CC-BY-4.0"),
        (("", " "), None),
        ((), None),
        (("CC BY 4.0", f"{CC}/licenses/by/2.0/"), None),
        (("CC BY-NC 4.0", f"{CC}/licenses/by/4.0/"), None),
        (("CC BY 3.0 de", "CC BY 3.0"), None),
        (("All rights reserved", f"{CC}/licenses/by/4.0/"), None),
        (("CC BY", "CC BY 4.0", "CC BY 2.0"), None),
        (("CC BY 4.0", "CC BY", "by 4.0"), "CC-BY-4.0"),
    ],
)
def test_texts_that_do_not_say_the_same_make_no_licence(
    stated: tuple[str, ...], name: str | None
) -> None:
    licence = agreed(*stated)
    assert (licence and licence.name) == name


def every_licence() -> set[Licence]:
    known = {*NAMES.values(), *ADDRESSES.values()}
    named = [f"{f} {v}".strip() for f in FAMILIES for v in ("", "1.0", "2.0", "3.0 de", "4.0")]
    return known | {licence for licence in map(read_licence, named) if licence}


def test_names_and_addresses_are_read_as_the_licence_that_wrote_them() -> None:
    licences = every_licence()
    assert {licence.family for licence in licences} == set(FAMILIES)
    for licence in licences:
        assert read_licence(licence.name) == licence
        assert not licence.url or read_licence(licence.url) == licence
        assert licence.rights in RIGHTS


VOCABULARY = (
    "cc by nc nd sa creative commons attribution sharealike noncommercial license 4.0 3.0 de v"
    " public domain zero cc0 mark not no all rights reserved - / ( ) . , + https://"
    " creativecommons.org licenses publicdomain legalcode deed.en \u0664.\u0660 \u212a"
)
WORDS = st.sampled_from(VOCABULARY.split())
TEXTS = st.one_of(
    st.text(),
    st.lists(WORDS).map(" ".join),
    st.lists(WORDS).map("".join),
    st.text().map(lambda text: f"{CC}/licenses/{text}"),
    st.text().map(lambda text: f"CC BY{text}"),
)


@given(TEXTS)
def test_any_text_is_read_and_only_a_known_licence_is_publishable(text: str) -> None:
    licence = read_licence(text)
    if licence is None:
        assert rights_of(text) == "index_only"
    else:
        assert read_licence(licence.name) == licence
        assert licence.rights == FAMILIES[licence.family]
        assert rights_of(text) == licence.rights


@given(st.text())
def test_what_forbids_changes_is_never_publishable(text: str) -> None:
    for wording in (f"CC BY-ND{text}", f"CC BY-NC-ND {text}", f"{CC}/licenses/by-nd/{text}"):
        assert rights_of(wording) == "index_only"


def test_a_name_within_a_sentence_counts_for_nothing() -> None:
    for name in NAMES:
        for sentence in (f"not {name}", f"{name} only on weekends", f"no {name}"):
            assert read_licence(sentence) is None or sentence in NAMES


def test_families_are_checked_by_name() -> None:
    assert read_families(["CC0", "CC-BY-NC"]) == ("CC0", "CC-BY-NC")
    with pytest.raises(ValueError, match=r"licences: found 'CC-BY-4\.0', expected CC0, PDM"):
        read_families(["CC0", "CC-BY-4.0"])


def test_stated_rights_count_before_the_licence() -> None:
    assert read_rights("blocked", "CC0") == "blocked"
    assert read_rights("publishable", "unknown") == "publishable"
    assert read_rights("", "CC0") == "publishable"
    assert read_rights("", "unknown") == "index_only"
    with pytest.raises(ValueError, match="rights: found 'free', expected one of publishable"):
        read_rights("free", "CC0")


def test_every_number_of_flickr_is_a_licence_that_is_known() -> None:
    assert all(flickr_licence(number) for number in FLICKR_IDS)
