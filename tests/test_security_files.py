"""Foreign files: archives write nowhere, pickles do not run, nothing leads out of a source."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from mixed import picture

from occlufer.builders.gather import gather
from occlufer.builders.pixels import BadImageError
from occlufer.builders.sources import huggingface, table
from occlufer.builders.sources.affectnet_arrays import only_value
from occlufer.config import SourceConfig
from occlufer.errors import OccluferError, UsageError
from occlufer.orsanet.author_checkpoint import load_any_classes, load_author_checkpoint, read_ir50
from occlufer.orsanet.checkpoint import load_checkpoint
from occlufer.orsanet.data import CACHE_NAME, VERSION, load_cache
from occlufer.orsanet.mobilefacenet import read_mobilefacenet
from occlufer.orsanet.segface import read_lapa
from occlufer.workspace import Workspace


@pytest.fixture(autouse=True)
def no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing goes out, and what `datasets` prepares goes with the test's folder."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "EXTRACTED_DATASETS_PATH", tmp_path / "cache/extracted")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


def png(seed: int) -> bytes:
    file = io.BytesIO()
    picture(seed).save(file, "PNG")
    return file.getvalue()


class Payload:
    """What makes a file where a pickle of it is trusted."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.canary,)


def planted(canary: Path) -> bytes:
    return pickle.dumps(Payload(canary), protocol=2)


def test_the_payload_does_what_it_says_where_it_is_trusted(tmp_path: Path) -> None:
    pickle.loads(planted(tmp_path / "canary"))  # noqa: S301
    assert (tmp_path / "canary").exists()


# Pickles ------------------------------------------------------------------------------------------

READERS: dict[str, Callable[[Path], Any]] = {
    "author": load_author_checkpoint,
    "author, any classes": load_any_classes,
    "ir50": read_ir50,
    "mobilefacenet": read_mobilefacenet,
    "segface": read_lapa,
    "ours": load_checkpoint,
}


@pytest.mark.filterwarnings("ignore:'torch.load' received a zip file:UserWarning")
@pytest.mark.parametrize("form", ["zip", "old", "bare pickle", "TorchScript", "safetensors"])
@pytest.mark.parametrize("reader", READERS)
def test_no_file_of_weights_runs_anything(reader: str, form: str, tmp_path: Path) -> None:
    canary, path = tmp_path / "canary", tmp_path / "weights.pt"
    content = {"state_dict": {"a": torch.zeros(1)}, "version": 1, "more": Payload(canary)}
    if form == "bare pickle":
        path.write_bytes(planted(canary))
    elif form == "safetensors":
        path = path.with_suffix(".safetensors")
        path.write_bytes(planted(canary))
    elif form == "TorchScript":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("weights/constants.pkl", planted(canary))
            archive.writestr("weights/data.pkl", planted(canary))
            archive.writestr("weights/version", "3")
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(UsageError, match=r"weights\.\w+: found a file that cannot be read safely"):
        READERS[reader](path)
    assert not canary.exists()


@pytest.mark.parametrize("shape", [(), (2,)])
def test_an_array_of_objects_is_no_label_and_no_cache(
    shape: tuple[int, ...], tmp_path: Path
) -> None:
    array = np.empty(shape, dtype=object)
    array[...] = Payload(tmp_path / "canary")
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    with pytest.raises(ValueError, match="found no array that numpy reads"):
        only_value(file.getvalue())
    (tmp_path / "train_images.npy").write_bytes(file.getvalue())
    facts = {"version": VERSION, "key": "", "image_size_px": 1, "priors": {}}
    (tmp_path / CACHE_NAME).write_text(json.dumps(facts))
    with pytest.raises(UsageError, match=r"train_images\.npy: found a damaged array"):
        load_cache(tmp_path)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("kind", ["table", "parquet", "arrow"])
def test_an_extension_type_of_arrow_is_not_unpickled(kind: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    said = {
        "ARROW:extension:name": "arrow.py_extension_type",
        "ARROW:extension:metadata": planted(canary),
    }
    columns = [
        pa.field("image", pa.binary()),
        pa.field("label", pa.string()),
        pa.field("x", pa.binary(), metadata=said),
    ]
    content = pa.table([[png(1)], ["fear"], [b"x"]], schema=pa.schema(columns))
    folder = tmp_path / "d"
    folder.mkdir()
    if kind == "arrow":
        with pa.ipc.new_stream(folder / "d.arrow", content.schema) as file:
            file.write_table(content)
    else:
        pq.write_table(content, folder / "d.parquet")
    read = table.entries(table.Settings(folder), "s") if kind == "table" else listed(folder)
    (entry,) = read
    assert entry.read().data == png(1)
    assert not canary.exists()


# Archives -----------------------------------------------------------------------------------------


def listed(folder: Path, **settings: Any) -> list[Any]:
    return list(huggingface.entries(huggingface.Settings(folder, **settings), "h"))


def outside(folder: Path) -> set[str]:
    """What lies in the test's folder, beside the source and what `datasets` keeps."""
    return {path.name for path in folder.iterdir()} - {"source", "cache"}


def hostile_tar(path: Path, root: Path, mode: str = "w") -> None:
    """An archive whose members want to lie elsewhere, lead elsewhere, or be no files at all."""
    files = {
        "1.png": png(1),
        f"{'../' * 30}{root}/up.png": png(2),
        f"{root}/absolute.png": png(3),
        "link/under.png": png(4),
    }
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, kind, target in (
            ("link", tarfile.SYMTYPE, str(root)),
            ("key.png", tarfile.SYMTYPE, str(root / "key")),
            ("hard.png", tarfile.LNKTYPE, str(root / "key")),
            ("device.png", tarfile.CHRTYPE, ""),
            ("pipe.png", tarfile.FIFOTYPE, ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def hostile_zip(path: Path, root: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("fear/1.png", png(1))
        archive.writestr("anger/2.png", png(2))
        archive.writestr(f"{'../' * 30}{root}/up.png", png(3))
        archive.writestr(f"{root}/absolute.png", png(4))
        link = zipfile.ZipInfo("fear/key.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, str(root / "key"))


def bomb(path: Path) -> None:
    """A picture of 64 MB in 64 kB, were it unpacked."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("fear/1.png", bytes(64 << 20))


@pytest.mark.parametrize("name", ["train.tar", "train.tar.gz", "train.zip"])
def test_an_archive_of_a_dataset_writes_nowhere_and_gives_no_file_from_outside(
    name: str, tmp_path: Path
) -> None:
    source, secret = tmp_path / "source", png(99)
    source.mkdir()
    (tmp_path / "key").write_bytes(secret)
    if name.endswith("zip"):
        hostile_zip(source / name, tmp_path)
    else:
        hostile_tar(source / name, tmp_path, "w:gz" if name.endswith("gz") else "w")
    found: list[Any] = []
    with contextlib.suppress(OccluferError):  # which of them `datasets` reads is its own matter
        found = listed(source, label_column="")
    for entry in found:
        with contextlib.suppress(BadImageError, OSError):
            assert entry.read().data != secret
    assert outside(tmp_path) == {"key"}


@pytest.mark.parametrize("kind", ["image_folder", "table"])
def test_an_archive_in_any_other_source_is_no_picture_and_stays_closed(
    kind: str, tmp_path: Path, workspace: Workspace
) -> None:
    source = tmp_path / "source"
    (source / "fear").mkdir(parents=True)
    hostile_zip(source / "fear/a.zip", tmp_path)
    hostile_tar(source / "fear/b.png", tmp_path)
    bomb(source / "fear/c.zip")
    names = sorted(path.name for path in (source / "fear").iterdir())
    if kind == "table":
        rows = "".join(f"fear/{name},fear\n" for name in names)
        (source / "t.csv").write_text(f"image,label\n{rows}")
    gather((SourceConfig(kind, "s", {"path": str(source)}),), workspace, 1)
    reasons = {r.source_id: r.reject and r.reject.reason for r in workspace.catalog.records()}
    assert reasons == {f"fear/{name}": "not_an_image" for name in names}
    assert outside(tmp_path) == {"workspace"}
    assert sorted(path.name for path in (source / "fear").iterdir()) == names


# Links --------------------------------------------------------------------------------------------


def test_a_linked_folder_of_a_hugging_face_dataset_is_not_read(tmp_path: Path) -> None:
    source, secret = tmp_path / "source", png(99)
    for name, data in {"source/train/1.png": png(1), "private/2.png": secret}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (source / "train/out").symlink_to(tmp_path / "private")
    found: list[Any] = []
    with contextlib.suppress(UsageError):
        found = listed(source, label_column="")
    assert secret not in [entry.read().data for entry in found]
    (source / "train/out").unlink()
    (source / "train/2.png").symlink_to(tmp_path / "private/2.png")
    with pytest.raises(UsageError, match=r"its card names .*2\.png, expected files in the folder"):
        listed(source, label_column="")


@pytest.mark.parametrize("named", ["{root}/key", "../key", "a/../../key", "link", "folder/key"])
def test_a_path_in_a_dataset_or_a_table_does_not_lead_out(named: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (tmp_path / "key").write_bytes(png(99))
    (source / "link").symlink_to(tmp_path / "key")
    (source / "folder").symlink_to(tmp_path)
    name = named.format(root=tmp_path)
    datasets.Dataset.from_dict({"image": [name]}).to_parquet(source / "d.parquet")
    for found in (
        listed(source, label_column=""),
        list(table.entries(table.Settings(source, label_column=""), "t")),
    ):
        assert [e.reject and e.reject.reason for e in found] == ["outside_source"]
