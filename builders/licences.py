"""Licences by their names and addresses: which let a picture be passed on, cut to its face."""

from __future__ import annotations

from occlufer.schema import RIGHTS

# SPDX names without their version. A crop is a change of the picture: ND licences forbid it.
OPEN = ("CC0", "PDM", "CC-BY", "CC-BY-SA", "CC-BY-NC", "CC-BY-NC-SA")


def read_rights(stated: str, licence: str) -> str:
    """Return one of schema.RIGHTS: what is `stated`, else what the licence allows.

    Raises ValueError for a stated word that is none of them.
    """
    if stated and stated not in RIGHTS:
        raise ValueError(f"rights: found {stated!r}, expected one of {', '.join(RIGHTS)}")
    return stated or rights_of(licence)


def rights_of(licence: str) -> str:
    """Return "publishable" for a licence that is known to allow it, else "index_only"."""
    name = licence.strip().upper().rstrip("0123456789.").rstrip("-")
    return "publishable" if name in OPEN else "index_only"
