"""`init` recognises folders and writes what `build` then accepts, whatever they are called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from occlufer.build import check
from occlufer.builders.init import write_config
from occlufer.builders.pixels import encode_png
from occlufer.config import load_config

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
