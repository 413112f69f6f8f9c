"""Weights are pulled once, and only the pinned bytes ever lie under their name."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_weights import FLIPPED, POINTER, SHA256, TOY, make_known, refusal

from occlufer.builders import weights
from occlufer.builders.detectors import open_detector
from occlufer.builders.pixels import decode_rgb
from occlufer.builders.weights import WEIGHTS, find, listed, pull, weights_folder
from occlufer.errors import MissingError, UsageError

if TYPE_CHECKING:
    from web_server import WebServer


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    make_known(monkeypatch, tmp_path)


# What is pinned ----------------------------------------------------------------------------------


def test_the_pinned_yunet_is_the_real_one(real_data: Path) -> None:
    data = (real_data / "weights/yunet_s_640.onnx").read_bytes()
    pinned = WEIGHTS["yunet"]
    assert (pinned.sha256, pinned.size_bytes) == (hashlib.sha256(data).hexdigest(), len(data))
    assert all(url.startswith("https://") for url in pinned.urls)
    assert all(url.endswith(f"/{pinned.files[0]}") for url in pinned.urls)


def test_the_real_yunet_is_pulled_and_is_the_detector_from_then_on(
    real_data: Path, tmp_path: Path, web_server: WebServer, run_cli: Callable[..., Any]
) -> None:
    data = (real_data / "weights/yunet_s_640.onnx").read_bytes()
    web_server.routes["/a.onnx"] = web_server.answer(data)
    assert open_detector("auto", None).name == "mtcnn"
    done = run_cli("weights", "pull", "yunet", "--from", web_server.url("/a.onnx"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    path = tmp_path / "data/occlufer/weights/face_detection_yunet_2023mar.onnx"
    assert str(path) in done.stdout
    assert path.read_bytes() == data
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    detector = open_detector("auto", None)
    assert (detector.name, detector.weights_sha256) == ("yunet", hashlib.sha256(data).hexdigest())
    image_rgb = decode_rgb((real_data / "clean/astronaut.png").read_bytes())
    main = max(detector.detect(image_rgb), key=lambda face: face.score)
    assert np.allclose(main.box_xyxy_px, (175, 70, 275, 195), atol=28)  # read off by eye


# What lies there ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["toy.onnx", "other.onnx"])
def test_what_is_there_is_neither_fetched_anew_nor_written_over(
    tmp_path: Path, web_server: WebServer, name: str
) -> None:
    (tmp_path / name).write_bytes(TOY)
    assert pull("toy", tmp_path, web_server.url("/toy.onnx")).path == tmp_path / name
    for wrong in (FLIPPED, TOY + b"x", b"", POINTER):
        (tmp_path / name).write_bytes(wrong)
        said = refusal(tmp_path, web_server.url("/toy.onnx"))
        assert f"{tmp_path / name}: found " in said
        assert f"move it away and run `occlufer weights pull toy --weights-dir {tmp_path}`" in said
        assert (tmp_path / name).read_bytes() == wrong
        with pytest.raises(UsageError, match=f"{name}: found "):
            find("toy", tmp_path)
    assert not web_server.requests


def test_what_is_no_file_is_not_written_over(tmp_path: Path, web_server: WebServer) -> None:
    target = tmp_path / "toy.onnx"
    target.symlink_to(tmp_path / "gone")
    assert f"{target}: found what is no file" in refusal(tmp_path, web_server.url("/a"))
    assert target.is_symlink()
    target.unlink()
    target.mkdir()
    assert f"{target}: found what is no file" in refusal(tmp_path, web_server.url("/a"))
    assert not web_server.requests


@contextmanager
def as_nobody() -> Iterator[None]:
    """Be a user to whom permissions matter; root may write everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_asked(
    tmp_path: Path, web_server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    web_server.routes["/toy.onnx"] = web_server.answer(TOY)
    url = web_server.url("/toy.onnx")
    (tmp_path / "file").write_bytes(b"")
    for under in ("file", "file/weights"):
        said = refusal(tmp_path / under, url)
        assert f"{tmp_path / under}: cannot be written" in said
        assert "--weights-dir" in said
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed").chmod(0o555)
    monkeypatch.chdir(tmp_path)  # for nobody there is no way to it
    for under in ("closed", "closed/weights"):
        with as_nobody(), pytest.raises(UsageError) as caught:
            pull("toy", Path(under), url)
        assert f"{under}: cannot be written (Permission denied)" in str(caught.value)
    assert not web_server.requests
    assert not list((tmp_path / "closed").iterdir())


def test_wrong_weights_end_a_build_that_wants_them_and_no_other(tmp_path: Path) -> None:
    (tmp_path / WEIGHTS["yunet"].files[0]).write_bytes(POINTER)
    for wanting in ("yunet", "auto"):
        with pytest.raises(UsageError, match="found a Git LFS pointer"):
            open_detector(wanting, tmp_path)
    assert open_detector("mtcnn", tmp_path).name == "mtcnn"


# From a file -------------------------------------------------------------------------------------


def test_a_file_on_a_stick_is_taken_if_it_is_the_pinned_one(tmp_path: Path) -> None:
    stick, folder = tmp_path / "stick.onnx", tmp_path / "a/b"
    with pytest.raises(MissingError, match=r"stick\.onnx: no such file"):
        pull("toy", folder, str(stick))
    stick.write_bytes(FLIPPED)
    said = refusal(folder, str(stick))
    assert f"{stick}: found sha256 " in said
    assert f"expected {SHA256}" in said
    stick.write_bytes(POINTER)
    assert f"{stick}: found a Git LFS pointer" in refusal(folder, str(stick))
    assert f"{tmp_path}: cannot be read (Is a directory)" in refusal(folder, str(tmp_path))
    stick.write_bytes(TOY)
    pulled = pull("toy", folder, str(stick))
    assert (pulled.path.read_bytes(), pulled.source) == (TOY, str(stick))
    assert stick.read_bytes() == TOY


@given(st.binary(max_size=300) | st.integers(0, len(TOY) - 1).map(lambda n: TOY[:n]))
def test_no_other_bytes_ever_get_to_the_name(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    place = tmp_path_factory.mktemp("any")
    (place / "stick").write_bytes(data)
    refusal(place, str(place / "stick"))


# Where -------------------------------------------------------------------------------------------


def test_the_folder_is_the_one_named_else_the_user_s_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert weights_folder(Path("named")) == Path("named")
    assert weights_folder(None) == tmp_path / "data/occlufer/weights"
    monkeypatch.setenv("HOME", "/people/me")
    for unset in ("", "relative/data"):
        monkeypatch.setenv("XDG_DATA_HOME", unset)
        assert weights_folder(None) == Path("/people/me/.local/share/occlufer/weights")
    monkeypatch.delenv("XDG_DATA_HOME")
    assert weights_folder(None) == Path("/people/me/.local/share/occlufer/weights")


def test_without_a_home_builds_go_on_and_a_pull_asks_for_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setattr(weights.Path, "home", staticmethod(homeless))
    assert open_detector("auto", None).name == "mtcnn"
    assert {one.state for one in listed(None)} == {"missing"}
    with pytest.raises(UsageError, match="found no home folder to put it in, expected --weights-d"):
        pull("toy", None, str(tmp_path))
    with pytest.raises(MissingError, match="weights_dir: found no YuNet weights"):
        open_detector("yunet", None)


def test_a_home_that_may_not_be_looked_into_holds_no_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir(mode=0)
    monkeypatch.chdir(tmp_path)
    with as_nobody():
        assert find("toy", Path("data/occlufer/weights")) is None


def test_names_that_are_not_known_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="weights: found 'yolo', expected one of yunet, toy"):
        pull("yolo", tmp_path)


def test_what_is_there_is_listed_with_what_is_wrong(tmp_path: Path) -> None:
    states = {one.name: (one.state, one.path) for one in listed(tmp_path)}
    yunet = tmp_path / "face_detection_yunet_2023mar.onnx"
    assert states == {"yunet": ("missing", yunet), "toy": ("missing", tmp_path / "toy.onnx")}
    (tmp_path / "other.onnx").write_bytes(TOY)
    yunet.write_bytes(POINTER)
    found = {one.name: one for one in listed(tmp_path)}
    assert (found["toy"].state, found["toy"].path) == ("there", tmp_path / "other.onnx")
    assert (found["yunet"].state, found["yunet"].path) == ("wrong", yunet)
    assert "Git LFS pointer" in found["yunet"].fault
