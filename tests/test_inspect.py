"""`occlufer inspect`: what covers the faces of any picture, or a clear line why not."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from occlufer.builders.inspect import Inspected, inspect_pictures
from occlufer.builders.inspect_page import inspection_page
from occlufer.builders.occlusion import extraneous_overlap
from occlufer.builders.overlay import regions
from occlufer.builders.synthetic import FacePlan, draw_face
from occlufer.config import DEFAULT_CONFIG, BuildConfig
from occlufer.schema import OCCLUSION_TYPES, REGIONS

Pixels = NDArray[np.uint8]
RunCli = Callable[..., Any]
ASTRONAUT_BOX = (175, 70, 275, 195)  # read off by eye


def inspected(paths: list[Path], config: BuildConfig = DEFAULT_CONFIG) -> list[Inspected]:
    return list(inspect_pictures(paths, config))


@pytest.fixture(scope="module")
def astronaut(real_data: Path) -> Image.Image:
    return Image.open(real_data / "clean/astronaut.png").convert("RGB")


def file_of(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def turned(image: Image.Image) -> bytes:
    """Return the picture lying on its side, with the EXIF that sets it upright."""
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    return file_of(image.rotate(90, expand=True), "JPEG", quality=95, exif=exif)


def sixteen_bits(image: Image.Image) -> bytes:
    grey = np.asarray(image.convert("L")).astype(np.uint16) * 257
    return file_of(Image.fromarray(grey))


KINDS: dict[str, Callable[[Image.Image], bytes]] = {
    "colour": file_of,
    "grey": lambda image: file_of(image.convert("L")),
    "palette": lambda image: file_of(image.quantize(128)),
    "rgba": lambda image: file_of(image.convert("RGBA")),
    "cmyk": lambda image: file_of(image.convert("CMYK"), "JPEG", quality=95),
    "sixteen-bits": sixteen_bits,
    "turned-by-exif": turned,
    "webp-animation": lambda image: file_of(
        image, "WEBP", save_all=True, append_images=[Image.new("RGB", image.size)], lossless=True
    ),
}


@pytest.fixture(scope="module")
def yunet(real_data: Path) -> BuildConfig:
    return replace(DEFAULT_CONFIG, weights_dir=real_data / "weights")


@pytest.fixture(scope="module")
def expected(
    astronaut: Image.Image, yunet: BuildConfig, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("plain") / "plain.png"
    path.write_bytes(file_of(astronaut))
    (found,) = inspected([path], yunet)
    told: dict[str, Any] = found.faces[0].to_json()
    return told


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_picture_has_the_same_answer(
    kind: str,
    astronaut: Image.Image,
    yunet: BuildConfig,
    expected: dict[str, Any],
    tmp_path: Path,
) -> None:
    path = tmp_path / kind
    path.write_bytes(KINDS[kind](astronaut))
    (found,) = inspected([path], yunet)
    assert not found.error
    face = found.faces[0].to_json()
    assert np.allclose(face["box_xyxy_px"], ASTRONAUT_BOX, atol=28)
    width = expected["box_xyxy_px"][2] - expected["box_xyxy_px"][0]
    apart = np.linalg.norm(
        np.subtract(face["landmarks68_px"], expected["landmarks68_px"]), axis=1
    ).mean()
    assert apart < 0.06 * width
    assert face["occlusion_ratio"] < 0.1


BROKEN: dict[str, tuple[bytes, str]] = {
    "one-pixel": (file_of(Image.new("RGB", (1, 1))), r"too_small: found 1x1, expected sides >= 16"),
    "gif": (file_of(Image.new("RGB", (64, 64)), "GIF"), r"not_an_image: begins with 'GIF8"),
    "empty": (b"", r"empty_file"),
    "text": (b"hello", r"not_an_image: begins with 'hello', expected one of JPEG, PNG"),
    "cut-short": (file_of(Image.effect_noise((64, 64), 50), "JPEG")[:400], r"undecodable"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_a_line_of_its_own(kind: str, tmp_path: Path, run_cli: RunCli) -> None:
    data, message = BROKEN[kind]
    (tmp_path / "bad.jpg").write_bytes(data)
    (tmp_path / "good.png").write_bytes(file_of(Image.fromarray(drawn("mask"))))
    done = run_cli("inspect", "bad.jpg", "good.png", "gone.png", ".", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    bad, good, gone, folder = map(json.loads, done.stdout.splitlines())
    assert (bad["path"], gone["path"]) == ("bad.jpg", "gone.png")
    assert re.search(message, bad["error"])
    assert "\n" not in bad["error"]
    assert len(good["faces"]) >= 1
    assert "No such file" in gone["error"]
    assert "s a directory" in folder["error"]


def test_a_picture_of_twenty_thousand_pixels_is_taken_or_refused(tmp_path: Path) -> None:
    paths = [tmp_path / "wide.png", tmp_path / "huge.png"]
    Image.new("L", (20_000, 120), 128).save(paths[0])
    Image.new("1", (20_000, 20_000)).save(paths[1])
    wide, huge = inspected(paths)
    assert not wide.error
    assert np.isfinite(wide.faces[0].parsed.landmarks68_px).all()
    assert huge.error.startswith("too_many_pixels: ")


def drawn(*types: str) -> Pixels:
    return np.asarray(draw_face(FacePlan("neutral", 3, 5, types)).image_rgb)


def test_the_line_of_a_picture_says_all_of_every_face(tmp_path: Path, run_cli: RunCli) -> None:
    Image.fromarray(drawn("mask")).save(tmp_path / "a.png")
    done = run_cli("inspect", "a.png", "--json", cwd=tmp_path)
    (line,) = done.stdout.splitlines()
    (face, *_) = json.loads(line)["faces"]
    assert list(face["visible"]) == list(REGIONS)
    assert sorted(face["types"]) == sorted(OCCLUSION_TYPES)
    assert list(face["types"].values()) == sorted(face["types"].values(), reverse=True)
    assert np.asarray(face["landmarks68_px"]).shape == (68, 2)
    assert len(face["box_xyxy_px"]) == 4
    assert face["occlusion_ratio"] == pytest.approx(1 - face["visible"]["face"], abs=1e-3)
    assert not (tmp_path / "inspect.html").exists()


def test_a_picture_without_a_face_is_parsed_as_a_whole(
    tmp_path: Path, textured: Callable[..., Pixels], run_cli: RunCli
) -> None:
    Image.fromarray(textured(3, 90, 120)).save(tmp_path / "noise.png")
    done = run_cli("inspect", "noise.png", cwd=tmp_path)
    assert "no face found, the whole picture taken for one" in done.stdout
    (found,) = inspected([tmp_path / "noise.png"])
    (face,) = found.faces
    assert (face.score, face.box_xyxy_px) == (0.0, (0.0, 0.0, 120.0, 90.0))


def test_the_main_face_comes_first_and_the_others_are_told(
    astronaut: Image.Image, yunet: BuildConfig, tmp_path: Path
) -> None:
    both = Image.new("RGB", (900, 512), "grey")
    both.paste(astronaut, (0, 0))
    both.paste(astronaut.resize((256, 256)), (600, 128))
    both.save(tmp_path / "both.png")
    (found,) = inspected([tmp_path / "both.png"], yunet)
    assert len(found.faces) == 2
    large, small = (face.to_json()["box_xyxy_px"] for face in found.faces)
    assert np.allclose(large, ASTRONAUT_BOX, atol=28)
    assert np.allclose(small, np.array(ASTRONAUT_BOX) / 2 + (600, 128, 600, 128), atol=20)
    assert extraneous_overlap(large, [small]) == 0
    first, second = (face.parsed.landmarks68_px.mean(axis=0) for face in found.faces)
    assert first[0] < 450 < second[0]


def test_the_page_shows_every_picture_and_every_error(tmp_path: Path, run_cli: RunCli) -> None:
    Image.fromarray(drawn("eyewear")).save(tmp_path / "a.png")
    (tmp_path / "<b>.png").write_bytes(b"<script>")
    done = run_cli("inspect", "a.png", "<b>.png", cwd=tmp_path)
    assert done.returncode == 0
    text = (tmp_path / "inspect.html").read_text(encoding="utf-8")
    assert text.count("data:image/jpeg") == 3
    assert "percent visible" in text
    assert "&lt;b&gt;.png: not_an_image" in text
    assert "<script>" not in text


def test_a_name_that_is_no_utf_8_is_told_and_drawn(tmp_path: Path, run_cli: RunCli) -> None:
    path = tmp_path / os.fsdecode(b"n\xff.png")
    try:
        Image.fromarray(drawn()).save(path)
    except OSError:
        pytest.skip("this file system takes no such names")
    done = run_cli("inspect", path.name, "--out", "page.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "covered" in done.stdout
    assert "\\udcff" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_picture_is_never_overwritten_by_the_page(tmp_path: Path, run_cli: RunCli) -> None:
    Image.fromarray(drawn()).save(tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    done = run_cli("inspect", "a.png", "--out", "a.png", cwd=tmp_path)
    assert done.returncode == 2
    assert "--out a.png: is one of the pictures" in done.stderr
    assert done.stdout == ""
    assert (tmp_path / "a.png").read_bytes() == before


def test_a_page_that_cannot_be_written_is_told_before_the_work(
    tmp_path: Path, run_cli: RunCli
) -> None:
    Image.fromarray(drawn()).save(tmp_path / "a.png")
    (tmp_path / "file").write_text("")
    done = run_cli("inspect", "a.png", "--out", "file/page.html", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""


def test_a_pipe_is_no_picture(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (found,) = inspected([tmp_path / "pipe"])
    assert "found no regular file" in found.error


@pytest.mark.parametrize("degrees", [-45, -20, 20, 45])
def test_a_turned_face_has_the_same_landmarks(
    degrees: int, astronaut: Image.Image, yunet: BuildConfig, tmp_path: Path
) -> None:
    astronaut.crop((100, 0, 356, 256)).resize((512, 512)).save(tmp_path / "a.png")
    upright = Image.open(tmp_path / "a.png")
    upright.rotate(degrees, resample=Image.Resampling.BICUBIC).save(tmp_path / "b.png")
    plain, turned = (
        one.faces[0] for one in inspected([tmp_path / "a.png", tmp_path / "b.png"], yunet)
    )
    turn = np.radians(degrees)
    back = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    expected = (plain.parsed.landmarks68_px - 256) @ back + 256
    apart = np.linalg.norm(turned.parsed.landmarks68_px - expected, axis=1).mean()
    assert apart < 0.06 * np.linalg.norm(expected[36] - expected[45])
    assert turned.occlusion["ratio"] < 0.1


def test_percentages_stand_on_their_own_regions(astronaut: Image.Image, tmp_path: Path) -> None:
    astronaut.save(tmp_path / "a.png")
    (found,) = inspected([tmp_path / "a.png"])
    assert found.image_rgb is not None
    visible = {name: number / 10 for number, name in enumerate(REGIONS)}
    told = regions(found.image_rgb, found.faces[0].parsed, visible)
    by_name = regions(found.image_rgb, found.faces[0].parsed, dict(sorted(visible.items())))
    assert np.array_equal(told, by_name)


def test_a_crowd_is_drawn_in_part_and_counted_as_a_whole(tmp_path: Path) -> None:
    Image.fromarray(drawn()).save(tmp_path / "a.png")
    (one,) = inspected([tmp_path / "a.png"])
    text = inspection_page([Inspected(one.path, one.faces * 12, one.image_rgb)])
    assert one.faces[0].score
    assert "12 faces, the first 8 drawn" in text
    assert text.count("data:image/jpeg") == 1 + 2 * 8
