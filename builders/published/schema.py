"""Schemas of shards: the columns, and what the Hugging Face metadata in them says of these."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from occlufer.lock import INDEX
from occlufer.schema import LABELS

from ..publishing.columns import PIXELS, features, index_features
from .fault import Fault, first_line, shown
from .paths import path_faults
from .shards import DamagedShardError, read_schema

METADATA_KEY = b"huggingface"
# What a row must have to be looked at.
NEEDED = (
    *("label", "votes", "agreement", "soft_label", "occlusion_types", "known_occluded"),
    *("source", "source_id", "rights", "sha256", "phash", "group"),
)
NEEDED_IN_INDEX = ("config", "split")


def schema_faults(where: str, schema: Any, config: str, ours: bool) -> Iterator[Fault]:
    """Yield what is wrong with a shard's schema, a pyarrow one, and the metadata in it.

    If it is `ours`, written by this version of occlufer, it has this version's columns and no more.
    """
    told, faults = read_metadata(where, schema)
    yield from faults
    yield from label_faults(f"{where}, schema metadata", told)
    if told is not None and not faults:
        for difference in different(schema_of(told), schema):
            yield Fault(f"{where}, schema metadata", "column", *difference)
    yield from _paths_in(where, schema)
    yield from (all_column_faults if ours else column_faults)(where, schema, config)


def read_metadata(where: str, schema: Any) -> tuple[Any, list[Fault]]:
    """Return the `datasets.Features` in a schema's metadata, None if there are none, and faults."""
    from datasets import Features

    expected = "the features as `datasets` writes them"
    found = (schema.metadata or {}).get(METADATA_KEY)
    if found is None:
        return None, [Fault(where, "schema metadata", "none", expected)]
    try:
        told = Features.from_dict(json.loads(found)["info"]["features"])
        schema_of(told)
    except Exception as error:  # whatever somebody has put there
        return None, [Fault(where, "schema metadata", first_line(error), expected)]
    return told, []


def schema_of(told: Any) -> Any:
    """Return the pyarrow schema of `datasets.Features`; raises if they name types there are not."""
    return None if told is None else told.arrow_schema


def label_faults(where: str, told: Any) -> Iterator[Fault]:
    """Yield a fault if the column `label` of `datasets.Features` has not the eight in order."""
    if told is None:
        return
    names = getattr(told.get("label"), "names", None)
    if names != list(LABELS):
        found = ", ".join(map(str, names)) if names else f"no names but {told.get('label')}"
        yield Fault(where, "label names", shown(found), ", ".join(LABELS))


def different(told: Any, schema: Any) -> Iterator[tuple[str, str]]:
    """Yield (what is told, what is there) of the columns in which two pyarrow schemas differ."""
    types = {field.name: field.type for field in schema}
    for field in told:
        if field.name not in types:
            yield f"{shown(field.name)}", "a column of the shard"
        elif field.type != types[field.name]:
            yield f"{field.name} of {field.type}", f"{types[field.name]}, as in the shard"
    for name in types:
        if name not in told.names:
            yield f"nothing of {shown(name)}", "all columns of the shard"
    if told.names != schema.names and sorted(told.names) == sorted(schema.names):
        yield shown(", ".join(told.names)), "the order of columns of the shard"


def column_faults(where: str, schema: Any, config: str) -> Iterator[Fault]:
    """Yield a fault for every column that rows cannot be checked without, or of another type."""
    of_index = config == INDEX
    expected = (index_features() if of_index else features()).arrow_schema
    for name in (*NEEDED, *(NEEDED_IN_INDEX if of_index else (PIXELS,))):
        kind = expected.field(name).type
        found = [field.type for field in schema if field.name == name]
        if found != [kind]:
            what = f"{name} of {found[0]}" if found else f"no {name}"
            yield Fault(where, "column", what, str(kind))


def check_columns(path: Path, config: str) -> None:
    """Raise DamagedShardError for a shard whose rows cannot be read."""
    for fault in column_faults(path.name, read_schema(path), config):
        raise DamagedShardError(f"found {fault.found}, expected {fault.expected}")


def all_column_faults(where: str, schema: Any, config: str) -> Iterator[Fault]:
    """Yield a fault for every column that the dataset has not, or that the shard lacks."""
    expected = (index_features() if config == INDEX else features()).arrow_schema
    for name in schema.names:
        if name not in expected.names:
            yield Fault(where, "column", f"the column {shown(name)}", "the dataset's columns alone")
    for field in expected:
        if field.name not in schema.names:
            yield Fault(where, "column", f"no {field.name}", str(field.type))
        elif schema.field(field.name).type != field.type:
            found = schema.field(field.name).type
            yield Fault(where, "column", f"{field.name} of {found}", str(field.type))


def _paths_in(where: str, schema: Any) -> Iterator[Fault]:
    metadata = dict(schema.metadata or {})
    for field in schema:
        metadata |= field.metadata or {}
    for key, value in metadata.items():
        texts = [key.decode("utf-8", "replace"), value.decode("utf-8", "replace")]
        yield from path_faults(f"{where}, schema metadata", _parsed(texts))


def _parsed(texts: list[str]) -> list[Any]:
    """Return the texts as JSON has them, so that every string is seen by itself."""
    parsed = []
    for text in texts:
        try:
            parsed.append(json.loads(text))
        except (ValueError, RecursionError):
            parsed.append(text)
    return parsed
