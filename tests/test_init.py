"""`init` recognises folders and writes what `build` then accepts, whatever they are called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from occlufer.build import check
from occlufer.builders.gather import open_source
from occlufer.builders.init import LOOKED_AT, _spread_out, write_config
from occlufer.builders.pixels import MAX_BYTES, encode_png
from occlufer.builders.sources import image_folder
from occlufer.builders.synthetic import FacePlan, draw_face
from occlufer.config_file import load_config
from occlufer.errors import MissingError, UsageError

Write = Callable[[Path, Mapping[str, bytes]], Path]


@pytest.fixture
def pictures(
    textured: Callable[..., NDArray[np.uint8]], encoded: Callable[..., bytes]
) -> list[bytes]:
    return [encoded(textured(i, 40, 40)) for i in range(3)]


@pytest.mark.parametrize(
    "name",
    ["my faces (v2)", "2021", "fer²", "-x-", "面", "a.b", 'quo"te', "back\\slash", "___", "$HOME"],
)
def test_a_folder_of_any_name_becomes_a_source(
    tmp_path: Path, write_tree: Write, pictures: list[bytes], name: str
) -> None:
    root = write_tree(tmp_path / name, {"happy/1.png": pictures[0], "sad/2.png": pictures[1]})
    write_config([root], tmp_path / "occlufer.toml")
    assert list(check(load_config(tmp_path / "occlufer.toml")).values()) == [2]


def test_two_folders_of_one_name_become_two_sources(
    tmp_path: Path, write_tree: Write, pictures: list[bytes]
) -> None:
    roots = [
        write_tree(tmp_path / part / "faces", {"happy/1.png": pictures[0]}) for part in ("a", "b")
    ]
    write_config(roots, tmp_path / "occlufer.toml")
    names = [source.name for source in load_config(tmp_path / "occlufer.toml").sources]
    assert names == ["faces", "faces_2"]


def test_every_layout_is_recognised(
    tmp_path: Path, write_tree: Write, pictures: list[bytes]
) -> None:
    shelf = tmp_path / "shelf"
    write_tree(shelf / "classes", {"happy/1.png": pictures[0], "odd/2.png": pictures[1]})
    write_tree(shelf / "plain", {"1.png": pictures[0], "sub/2.png": pictures[1]})
    small = [encode_png(np.full((48, 48), grey, dtype=np.uint8)) for grey in (9, 99)]
    write_tree(shelf / "fer", {"train/angry/1.png": small[0], "test/sad/2.png": small[1]})
    write_tree(shelf / "csv", {"fer2013.csv": b"emotion,pixels,Usage\n0,1 2,Training\n"})
    write_tree(shelf / "texts", {"a.txt": b"x"})
    found = {path.name: what for path, what in write_config([shelf], tmp_path / "occlufer.toml")}
    assert found == {
        "classes": "1 class folders: happy",
        "csv": "FER2013, fer2013.csv",
        "fer": "FER2013, the image release: test, train",
        "plain": "images without classes",
    }
    config = load_config(tmp_path / "occlufer.toml")
    assert check(config) == {"classes": 2, "csv": 1, "fer": 2, "plain": 2}
    settings = {source.name: source.settings for source in config.sources}
    assert settings["classes"]["label_map"] == {"odd": "unlabelled"}
    assert settings["plain"]["labels"] == "none"


def test_what_a_system_has_left_beside_the_classes_is_not_mapped(
    tmp_path: Path, write_tree: Write, pictures: list[bytes]
) -> None:
    files = {"happy/1.png": pictures[0], ".ipynb_checkpoints/1.png": pictures[1]}
    write_config([write_tree(tmp_path / "set", files)], tmp_path / "occlufer.toml")
    (source,) = load_config(tmp_path / "occlufer.toml").sources
    assert "label_map" not in source.settings


def test_a_folder_called_as_a_split_is_written_as_one(
    tmp_path: Path, write_tree: Write, pictures: list[bytes]
) -> None:
    root = write_tree(
        tmp_path / "set",
        {"train/happy/1.png": pictures[0], "Test/happy/2.png": pictures[1]},
    )
    write_config([root], tmp_path / "occlufer.toml")
    found = load_config(tmp_path / "occlufer.toml").sources
    assert {s.name: s.settings["source_split"] for s in found} == {"Test": "Test", "train": "train"}
    listed = {s.name: [*image_folder.entries(open_source(s), s.name)] for s in found}
    test_sets = {name: [entry.facts.test_set for entry in one] for name, one in listed.items()}
    assert test_sets == {"Test": ["Test test"], "train": [None]}


# Datasets with columns ----------------------------------------------------------------------------


@pytest.fixture
def dataset(tmp_path: Path, pictures: list[bytes], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Three pictures of two classes, for `datasets` to write."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    kinds = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["happy", "odd"])}
    rows = {"image": [{"bytes": data, "path": None} for data in pictures], "label": [0, 1, 0]}
    return datasets.Dataset.from_dict(rows, features=datasets.Features(kinds))


def written(config: Path) -> dict[str, dict[str, Any]]:
    """Return {name of a source: kind and settings} of a config that build accepts."""
    check(load_config(config))
    return {s.name: {"kind": s.kind, **s.settings} for s in load_config(config).sources}


def test_datasets_of_hugging_face_are_recognised(tmp_path: Path, dataset: Any) -> None:
    shelf = tmp_path / "shelf"
    dataset.save_to_disk(shelf / "saved")
    (shelf / "shards").mkdir()
    dataset.to_parquet(shelf / "shards/train-00000-of-00001.parquet")
    config = tmp_path / "occlufer.toml"
    write_config([shelf], config)
    common = {"kind": "huggingface", "content": "crop", "label_map": {"odd": "unlabelled"}}
    assert written(config) == {
        name: {**common, "path": str(shelf / name)} for name in ("saved", "shards")
    }
    assert check(load_config(config)) == {"saved": 3, "shards": 3}


@pytest.mark.parametrize("named", ["file", "folder"])
def test_a_table_is_recognised_by_itself_or_by_its_folder(
    tmp_path: Path, write_tree: Write, pictures: list[bytes], named: str
) -> None:
    table = b"path,emotion\nfaces/1.png,happy\nfaces/2.png,7\nfaces/3.png,\n"
    root = write_tree(tmp_path / "set", {"my list.csv": table})
    write_tree(root / "faces", {f"{i}.png": data for i, data in enumerate(pictures, 1)})
    path = root if named == "folder" else root / "my list.csv"
    ((where, what),) = write_config([path], tmp_path / "occlufer.toml")
    assert where == path
    assert what == "a table of pictures, my list.csv: pictures in 'path', labels in 'emotion'"
    name = "set" if named == "folder" else "my_list"
    label_map = {"7": "unlabelled"}
    assert written(tmp_path / "occlufer.toml") == {
        name: {"kind": "table", "path": str(path), "content": "crop", "label_map": label_map}
    }


@pytest.mark.parametrize(
    ("header", "rows", "comment"),
    [
        ("image", ["1.png"], 'label_column = ""   # or the name of the column that holds labels'),
        ("image,label", [f"1.png,{i}" for i in range(40)], "has 40 words that are no class"),
    ],
    ids=["no-labels", "no-classes"],
)
def test_a_table_without_classes_is_written_without_labels(
    tmp_path: Path,
    write_tree: Write,
    pictures: list[bytes],
    header: str,
    rows: list[str],
    comment: str,
) -> None:
    text = "\n".join([header, *rows]).encode()
    root = write_tree(tmp_path / "set", {"a.csv": text, "1.png": pictures[0]})
    write_config([root], tmp_path / "occlufer.toml")
    assert written(tmp_path / "occlufer.toml")["set"]["label_column"] == ""
    assert comment in (tmp_path / "occlufer.toml").read_text()


def test_a_dataset_with_a_piece_missing_is_written_for_build_to_say_so(
    tmp_path: Path, dataset: Any
) -> None:
    dataset.save_to_disk(tmp_path / "saved")
    (tmp_path / "saved/data-00000-of-00001.arrow").unlink()
    write_config([tmp_path / "saved"], tmp_path / "occlufer.toml")
    with pytest.raises(MissingError, match=r"found no data-00000-of-00001.arrow"):
        check(load_config(tmp_path / "occlufer.toml"))


def test_photographs_in_a_table_are_told_from_crops(
    tmp_path: Path, write_tree: Write, encoded: Callable[..., bytes]
) -> None:
    face = draw_face(FacePlan("neutral", 1, 1)).image_rgb
    wide = np.full((face.shape[0] * 3, face.shape[1] * 3, 3), 90, dtype=np.uint8)
    wide[face.shape[0] : 2 * face.shape[0], face.shape[1] : 2 * face.shape[1]] = face
    files = {"close.csv": b"image,label\n1.png,sad\n", "1.png": encoded(face)}
    files |= {"far.csv": b"image,label\n2.png,sad\n", "2.png": encoded(wide)}
    root = write_tree(tmp_path / "set", files)
    write_config([root / "close.csv", root / "far.csv"], tmp_path / "occlufer.toml")
    content = {name: s["content"] for name, s in written(tmp_path / "occlufer.toml").items()}
    assert content == {"close": "crop", "far": "photograph"}


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("image,label\n")
    with pytest.raises(UsageError, match=r"a.txt: found a file, expected a folder or a table of"):
        write_config([tmp_path / "a.txt"], tmp_path / "occlufer.toml")


@pytest.mark.parametrize("count", [0, 1, 23, 24, 25, 47, 48, 49, 1000])
def test_pictures_are_looked_at_from_beginning_to_end(count: int) -> None:
    seen = _spread_out(range(count))
    assert len(seen) == min(count, LOOKED_AT)
    assert seen == sorted(set(seen))
    gaps = np.diff([*seen, count]) if seen else np.array([1])
    assert gaps.max() <= 2 * max(1, gaps[:-1].min(initial=count)) + 1


def test_a_file_too_large_for_a_picture_is_not_read(
    tmp_path: Path, write_tree: Write, pictures: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_tree(tmp_path / "faces", {"1.png": pictures[0], "2.png": b""})
    with (folder / "2.png").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    read: list[str] = []
    whole = Path.read_bytes

    def noted(path: Path) -> bytes:
        read.append(path.name)
        return whole(path)

    monkeypatch.setattr(Path, "read_bytes", noted)
    write_config([folder], tmp_path / "occlufer.toml")
    assert read == ["1.png"]


def test_the_config_may_lie_elsewhere(
    tmp_path: Path, write_tree: Write, pictures: list[bytes]
) -> None:
    root = write_tree(tmp_path / "faces", {"happy/1.png": pictures[0]})
    (tmp_path / "a/b/c").mkdir(parents=True)
    for place in (tmp_path / "near.toml", tmp_path / "a/b/c/far.toml"):
        write_config([root], place)
        assert load_config(place).sources[0].settings["path"] == str(root)


def test_real_folders_are_recognised(real_data: Path, tmp_path: Path) -> None:
    names = ("fer8", "fer2013", "masks_cfmd", "masks_rwmfd")
    write_config([real_data / name for name in names], tmp_path / "occlufer.toml")
    config = load_config(tmp_path / "occlufer.toml")
    kinds = {source.name: source.kind for source in config.sources}
    assert kinds == {**dict.fromkeys(names, "image_folder"), "fer2013": "fer2013"}
    content = {source.name: source.settings.get("content") for source in config.sources}
    assert (content["fer8"], content["masks_rwmfd"]) == ("crop", "photograph")
