"""croissant.json: the dataset in the words of Croissant 1.0, with its responsible-AI fields."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from occlufer.lock import INDEX, MAIN, Lock, config_folder
from occlufer.schema import LABELS

from .citation import PAPER, PAPER_ADDRESS, TITLE
from .columns import features, index_features
from .responsible import responsible_fields

CONFORMS_TO = ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"]
PARQUET = "application/x-parquet"
# The context that the specification of 1.0 prints.
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
DATA_TYPES = {
    "string": "sc:Text",
    "bool": "sc:Boolean",
    "int32": "sc:Integer",
    "int64": "sc:Integer",
    "float32": "sc:Float",
}
"""{type of a column, as Arrow calls it: Croissant's}"""
WHAT = {
    MAIN: "The dataset, one record a sample; the field split says train or validation.",
    INDEX: "Every row of every config without its pixels, and where these come from.",
}
SUBSET = "An evaluation subset, not to be trained on."


def croissant_text(lock: Lock) -> str:
    """Return the file: its shards by sha256, one record set for each config."""
    licences = {licence for terms in lock.sources.values() for licence in terms["licences"]}
    configs = [name for name, splits in lock.shards.items() if any(splits.values())]
    value = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": lock.name,
        "description": f"{TITLE}, in the manner of {PAPER}.",
        "version": f"{lock.made_with['occlufer']}+{lock.version}",
        "license": sorted(licences) or ["unknown"],
        "citeAs": f"{PAPER}. ACM Multimedia 2025. {PAPER_ADDRESS}",
        "url": PAPER_ADDRESS,
        "keywords": ["facial expression recognition", "occlusion"],
        **{f"rai:{name}": told for name, told in responsible_fields(lock).items()},
        "distribution": [*map(_file_set, configs), *_files(lock)],
        "recordSet": [_record_set(name) for name in configs],
    }
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def _files(lock: Lock) -> Iterator[dict[str, Any]]:
    """Yield every shard by its address within the folder, its size and its sha256."""
    for name, sha256 in lock.files.items():
        if name.endswith(".parquet"):
            yield {
                "@type": "cr:FileObject",
                "@id": name,
                "name": name,
                "contentUrl": name,
                "contentSize": f"{lock.sizes[name]} B",
                "encodingFormat": PARQUET,
                "sha256": sha256,
            }


def _file_set(config: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": _files_of(config),
        "name": _files_of(config),
        "description": f"The shards of the config {config}.",
        "encodingFormat": PARQUET,
        "includes": f"{config_folder(config)}/*.parquet",
    }


def _files_of(config: str) -> str:
    return f"shards-of-{config}"


def _record_set(config: str) -> dict[str, Any]:
    columns = index_features() if config == INDEX else features()
    fields = [_field(config, name, kind) for name, kind in columns.items()]
    return {
        "@type": "cr:RecordSet",
        "@id": config,
        "name": config,
        "description": WHAT.get(config, SUBSET),
        "field": fields if "split" in columns else [_split_field(config), *fields],
    }


def _split_field(config: str) -> dict[str, Any]:
    """Return the field that says of which split a record is: its shard is called by it."""
    pattern = f"{config_folder(config)}/([a-z]+)-.*"
    source = {"extract": {"fileProperty": "fullpath"}, "transform": {"regex": pattern}}
    return _described(f"{config}/split", "sc:Text", config, source)


def _field(config: str, name: str, kind: Any) -> dict[str, Any]:
    """Return the field of one column: a value, several, or a struct of values."""
    source: dict[str, Any] = {"extract": {"column": name}}
    if isinstance(kind, dict):
        return {
            "@type": "cr:Field",
            "@id": f"{config}/{name}",
            "name": f"{config}/{name}",
            "subField": [_sub_field(config, name, key, inner) for key, inner in kind.items()],
        }
    if type(kind).__name__ == "Image":
        image = source | {"transform": {"jsonPath": "bytes"}}
        return _described(f"{config}/{name}", "sc:ImageObject", config, image)
    if type(kind).__name__ == "ClassLabel":
        classes = ", ".join(f"{number} {label}" for number, label in enumerate(LABELS))
        found = _described(f"{config}/{name}", "sc:Integer", config, source)
        return found | {"description": f"The expression: {classes}."}
    inner, depth = kind, 0
    while not hasattr(inner, "dtype") or inner.dtype == "list":
        inner, depth = inner.feature, depth + 1
    found = _described(f"{config}/{name}", DATA_TYPES[inner.dtype], config, source)
    return found | ({"repeated": True} if depth else {})


def _sub_field(config: str, name: str, key: str, kind: Any) -> dict[str, Any]:
    source = {"extract": {"column": name}, "transform": {"jsonPath": key}}
    return _described(f"{config}/{name}/{key}", DATA_TYPES[kind.dtype], config, source)


def _described(name: str, data_type: str, config: str, source: dict[str, Any]) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": name,
        "name": name,
        "dataType": data_type,
        "source": {"fileSet": {"@id": _files_of(config)}, **source},
    }
