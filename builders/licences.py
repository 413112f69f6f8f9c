"""Licences by their names and addresses: which let a picture be passed on, cut to its face."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from occlufer.schema import RIGHTS

# What may be done with a face cut out of a photograph, by its licence without a version. A crop is
# a change of the picture: ND lets everybody make one and nobody pass it on, so others cut theirs.
FAMILIES = {
    "CC0": "publishable",
    "PDM": "publishable",
    "CC-BY": "publishable",
    "CC-BY-SA": "publishable",
    "CC-BY-NC": "publishable",  # and non-commercially only, see Licence.rights
    "CC-BY-NC-SA": "publishable",
    "CC-BY-ND": "index_only",
    "CC-BY-NC-ND": "index_only",
    "CC-PDDC": "publishable",  # dedicated to the public domain before there was CC0
    "LAL": "publishable",  # Free Art License
    "Attribution": "publishable",  # Commons' template: any use, with attribution
    "Copyrighted-Free-Use": "publishable",  # Commons' template: any use
    "US-Government-Work": "publishable",  # as FFHQ passes them on
    # Each copy would have to bring the licence's text and the history of the changes.
    "GFDL": "index_only",
    # Nobody known to object is nobody's permission.
    "No-Known-Copyright-Restrictions": "index_only",
}


@dataclass(frozen=True)
class Licence:
    """The terms of one picture."""

    name: str
    """As SPDX names it where it does, e.g. "CC-BY-SA-3.0-DE"."""
    url: str
    """Its one address, e.g. "https://creativecommons.org/licenses/by/4.0/"; "" if it has none."""
    rights: str
    """One of schema.RIGHTS.

    BY, SA and NC go with the picture, into whatever it is part of: who passes the dataset on names
    the author and the licence of each, and who makes money with it leaves the NC pictures out. NC
    is publishable nevertheless, because the dataset is given away for research, as FFHQ is, and
    NC permits just that; index_only would hold back what its authors have released. It is not
    fetched unless the config asks for it.
    """

    @property
    def family(self) -> str:
        """The name without version and country, a key of FAMILIES."""
        return re.sub(r"-\d.*", "", self.name)


def _licence(family: str, version: str, url: str) -> Licence:
    return Licence(f"{family}-{version}" if version else family, url, FAMILIES[family])


CC = "https://creativecommons.org"
CC0 = _licence("CC0", "1.0", f"{CC}/publicdomain/zero/1.0/")
PDM = _licence("PDM", "1.0", f"{CC}/publicdomain/mark/1.0/")
PDDC = _licence("CC-PDDC", "", f"{CC}/licenses/publicdomain/")
US_GOVERNMENT = _licence("US-Government-Work", "", "https://www.usa.gov/government-copyright")
NO_KNOWN = _licence("No-Known-Copyright-Restrictions", "", "https://www.flickr.com/commons/usage/")
ATTRIBUTION = _licence("Attribution", "", "")
FREE_USE = _licence("Copyrighted-Free-Use", "", "")
LAL = _licence("LAL", "1.3", "https://artlibre.org/licence/lal/en/")
GFDL = _licence("GFDL", "", "https://www.gnu.org/licenses/fdl.html")

# In lower case, with blanks for hyphens.
NAMES = {
    "cc0": CC0,
    "cc0 1.0": CC0,
    "cc zero": CC0,
    "cc0 1.0 universal": CC0,
    "cc0 1.0 universal (cc0 1.0) public domain dedication": CC0,
    "creative commons zero": CC0,
    "creative commons cc0": CC0,
    "creative commons zero v1.0 universal": CC0,
    "public domain dedication (cc0)": CC0,
    "pdm": PDM,
    "pdm 1.0": PDM,
    "public domain mark": PDM,
    "public domain mark 1.0": PDM,
    "public domain mark 1.0 universal": PDM,
    "public domain": PDM,  # as Commons marks what nobody holds a right in
    "cc pddc": PDDC,
    "united states government work": US_GOVERNMENT,
    "us government work": US_GOVERNMENT,
    "no known copyright restrictions": NO_KNOWN,
    "no restrictions": NO_KNOWN,
    "attribution": ATTRIBUTION,
    "copyrighted free use": FREE_USE,
    "fal": LAL,
    "lal": LAL,
    "lal 1.3": LAL,
    "free art license": LAL,
    "free art license 1.3": LAL,
    "gfdl": GFDL,
    "gfdl 1.2": GFDL,
    "gfdl 1.3": GFDL,
    "gfdl 1.2 or later": GFDL,
    "gfdl 1.3 or later": GFDL,
    "gfdl 1.2 only": GFDL,
    "gfdl 1.3 only": GFDL,
    "gnu free documentation license": GFDL,
}
# Without http(s)://, www. and the last slash.
ADDRESSES = {
    "creativecommons.org/licenses/publicdomain": PDDC,
    "creativecommons.org/publicdomain/zero/1.0": CC0,
    "creativecommons.org/publicdomain/mark/1.0": PDM,
    "creativecommons.org/publicdomain/certification/1.0/us": PDDC,
    "usa.gov/copyright.shtml": US_GOVERNMENT,
    "usa.gov/government-copyright": US_GOVERNMENT,
    "usa.gov/government-works": US_GOVERNMENT,
    "flickr.com/commons/usage": NO_KNOWN,
    "artlibre.org/licence/lal": LAL,
    "artlibre.org/licence/lal/en": LAL,
    "gnu.org/copyleft/fdl.html": GFDL,
    "gnu.org/licenses/fdl.html": GFDL,
    "gnu.org/licenses/fdl-1.3.html": GFDL,
    "gnu.org/licenses/old-licenses/fdl-1.2.html": GFDL,
}
VERSIONS = ("1.0", "2.0", "2.1", "2.5", "3.0", "4.0")
# The countries that Creative Commons wrote versions up to 3.0 for, and two that are none.
PORTS = re.compile(
    "ar|at|au|az|be|bg|br|ca|ch|cl|cn|co|cr|cz|de|dk|ec|ee|eg|es|fi|fr|ge|gr|gt|hk|hr|hu|ie|il|in"
    "|it|jo|jp|kr|lu|mk|mt|mx|my|nl|no|nz|pe|ph|pl|pr|pt|ro|rs|se|sg|si|th|tw|ug|uk|us|ve|vn|za"
    "|igo|scotland"
)
# The part of a licence's name for a word of it, and what says no more than that there is no port.
ELEMENTS = {"noncommercial": "nc", "noderivs": "nd", "noderivatives": "nd", "sharealike": "sa"}
UNPORTED = ("unported", "international", "generic")
MAX_LENGTH = 300

_CODE = re.compile(r"(?:cc |creative commons )?by((?: (?:nc|nd|sa))*)(.*)")
_WORDS = re.compile(r"(creative commons )?attribution((?: [a-z]+)*?)(?: licen[sc]e)?( v?\d.*)?")
_VERSION = re.compile(r" v?(\d\.\d)(?: ([a-z]+))?(?: licen[sc]e)?")


def read_rights(stated: str, licence: str) -> str:
    """Return one of schema.RIGHTS: what is `stated`, else what the licence allows.

    Raises ValueError for a stated word that is none of them.
    """
    if stated and stated not in RIGHTS:
        raise ValueError(f"rights: found {stated!r}, expected one of {', '.join(RIGHTS)}")
    return stated or rights_of(licence)


def rights_of(licence: str) -> str:
    """Return what a licence that is known allows, else "index_only"."""
    known = read_licence(licence)
    return known.rights if known else "index_only"


def read_families(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of licences without versions; ValueError for one that is not known."""
    names = tuple(names)
    for name in names:
        if name not in FAMILIES:
            raise ValueError(f"licences: found {name!r}, expected {', '.join(FAMILIES)}")
    return names


def agreed(*stated: str) -> Licence | None:
    """Return the licence that every text names, blank ones aside; None if not all say the same.

    A name without a version agrees with any version of it. A text that says something else, or
    nothing that is known, makes the licence unknown, whatever stands beside it.
    """
    known = [read_licence(text) for text in stated if text.strip()]
    best: Licence | None = None
    for licence in known:
        if licence is None or (best and licence.family != best.family):
            return None
        if best is None or best.name == best.family:
            best = licence
        elif licence.name not in (best.name, licence.family):
            return None
    return best


def read_licence(text: str) -> Licence | None:
    """Return the licence that a name, an SPDX identifier, a code or an address stands for.

    None for all that is not known, all rights reserved among it: such a photograph of the web is
    not used. The whole text has to be a name; one within a sentence counts for nothing.
    """
    line = " ".join(text.split()).lower()
    if not line or len(line) > MAX_LENGTH:
        return None
    if "/" in line:
        return _by_address(line)
    # "Attribution 4.0 International (CC BY 4.0)": both have to say the same.
    twice = re.fullmatch(r"([^()]+) \(([^()]+)\)", line)
    if twice and not _by_name(line):
        return agreed(*twice.groups())
    return _by_name(line)


def _by_address(line: str) -> Licence | None:
    try:
        parts = urlsplit(line if "//" in line else f"//{line}")
    except ValueError:
        return None
    if parts.scheme not in ("", "http", "https"):
        return None
    steps = [step for step in parts.path.split("/") if step]
    if steps and re.fullmatch(r"(deed|legalcode)(\.[a-z_-]+)?", steps[-1]):
        steps.pop()
    host = parts.netloc.removeprefix("www.")
    known = ADDRESSES.get("/".join([host, *steps]))
    if known or host != "creativecommons.org" or steps[:1] != ["licenses"]:
        return known
    if not 2 <= len(steps) <= 4:
        return None
    code, version, port = [*steps[1:], "", ""][:3]
    first, *elements = code.split("-")
    return _creative_commons(elements, version, port) if first == "by" else None


def _by_name(line: str) -> Licence | None:
    words = " ".join(re.split(r"[\s_\-\u2010\u2011\u2013]+", line)).strip()
    if words in NAMES:
        return NAMES[words]
    code = _CODE.fullmatch(words)
    if code:
        return _with_version(code[1].split(), code[2])
    named = _WORDS.fullmatch(words)
    if not named or not (named[1] or named[2] or named[3]):
        return None
    return _with_version(list(_elements(named[2])), named[3] or "")


def _elements(words: str) -> Iterator[str]:
    """Yield nc, nd and sa for what they stand for, and other words as they are."""
    for prefix in ("non", "no", "share"):
        words = words.replace(f" {prefix} ", f" {prefix}")
    yield from (ELEMENTS.get(word, word) for word in words.split())


def _with_version(elements: list[str], rest: str) -> Licence | None:
    """Return the licence of `elements` and, e.g., " 3.0 de" or " 4.0 international"."""
    if rest in ("", " license", " licence"):
        return _creative_commons(elements, "", "")
    found = _VERSION.fullmatch(rest)
    if not found:
        return None
    port = found[2] if found[2] not in (None, *UNPORTED, "license", "licence") else ""
    return _creative_commons(elements, found[1], port or "")


def _creative_commons(elements: list[str], version: str, port: str) -> Licence | None:
    kinds = set(elements)
    if len(kinds) < len(elements) or not kinds <= {"nc", "nd", "sa"} or {"nd", "sa"} <= kinds:
        return None
    family = "-".join(["CC-BY", *(kind.upper() for kind in ("nc", "nd", "sa") if kind in kinds)])
    if not version:
        return None if port else _licence(family, "", "")
    if version not in VERSIONS or (port and (version == "4.0" or not PORTS.fullmatch(port))):
        return None
    code = family.removeprefix("CC-").lower()
    if version == "1.0" and kinds == {"nc", "nd"}:
        code = "by-nd-nc"
    steps = [code, version, port] if port else [code, version]
    name = "-".join([version, port.upper()]) if port else version
    return _licence(family, name, f"{CC}/licenses/{'/'.join(steps)}/")
