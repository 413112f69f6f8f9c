"""What the tests share: tiny pictures, folders of them, and one small dataset built once."""

from __future__ import annotations

import importlib.util
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray
from PIL import Image

from occlufer.build import BuildSummary, build
from occlufer.config import BuildConfig, SourceConfig
from occlufer.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from browser import Browser
    from trip import Trip
    from web_server import WebServer

    from occlufer.annotation.server.server import Server

# Speed is no matter of tests; and where nobody watches, a run must not differ from the last one.
settings.register_profile("occlufer", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("occlufer")

ROOT = Path(__file__).resolve().parents[1]
# Builds remember themselves in the cache of `datasets`, which reads this once, at its import.
_CACHE = tempfile.TemporaryDirectory(prefix="occlufer-datasets-")
os.environ["HF_DATASETS_CACHE"] = _CACHE.name


@pytest.fixture(scope="session", autouse=True)
def _no_weights_at_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let no test find the weights that whoever runs it has pulled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data_home")))
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Real photographs, which are not part of the repository."""
    default = ROOT.parent / "shared" / "data"
    path = Path(os.environ.get("OCCLUFER_REAL_DATA", default))
    if not path.is_dir():
        pytest.skip(f"no real pictures: {path} is missing (set OCCLUFER_REAL_DATA)")
    return path


@pytest.fixture(scope="session")
def textured() -> Callable[..., NDArray[np.uint8]]:
    """A picture with structure at every size: unlike any other seed's, and no plain area."""

    def make(seed: int, height: int = 128, width: int = 128) -> NDArray[np.uint8]:
        rng = np.random.default_rng(seed)
        coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        image = coarse.resize((width, height), Image.Resampling.BICUBIC)
        noise = rng.integers(-12, 13, (height, width, 3))
        return np.clip(np.asarray(image, np.int64) + noise, 0, 255).astype(np.uint8)

    return make


@pytest.fixture(scope="session")
def encoded() -> Callable[..., bytes]:
    """Pixels as the bytes of a file."""

    def encode(pixels: NDArray[np.uint8], kind: str = "PNG", **options: Any) -> bytes:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, kind, **options)
        return file.getvalue()

    return encode


@pytest.fixture(scope="session")
def write_tree() -> Callable[[Path, Mapping[str, bytes]], Path]:
    """Write {path: bytes} under a folder."""

    def write(folder: Path, files: Mapping[str, bytes]) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        return folder

    return write


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with open_workspace(tmp_path / "workspace") as opened:
        yield opened


@pytest.fixture
def run_cli() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line in a process of its own."""

    def run(*arguments: object, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "occlufer.cli", *map(str, arguments)],
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            **options,
        )

    return run


@pytest.fixture(scope="session")
def rows_of() -> Callable[[Path], dict[str, list[dict[str, Any]]]]:
    """Read a published folder with nothing but pyarrow: {split: rows}."""
    import pyarrow.parquet as pq

    def read(out: Path) -> dict[str, list[dict[str, Any]]]:
        return {
            split: [
                row
                for shard in sorted((out / "data").glob(f"{split}-*.parquet"))
                for row in pq.read_table(shard).to_pylist()
            ]
            for split in ("train", "validation")
        }

    return read


@pytest.fixture(scope="session")
def built_config(tmp_path_factory: pytest.TempPathFactory) -> BuildConfig:
    folder = tmp_path_factory.mktemp("built")
    synthetic = SourceConfig("synthetic", "synthetic", {"count": 150})
    return BuildConfig(
        sources=(synthetic,), out=folder / "occlu_fer", workspace=folder / "workspace", workers=2
    )


@pytest.fixture(scope="session")
def built(built_config: BuildConfig) -> BuildSummary:
    """The account of one build of 150 drawn records; nobody changes its folders."""
    return build(built_config)


@pytest.fixture(scope="session")
def content() -> Callable[[Path], dict[str, bytes]]:
    """Every file under a folder: {path: bytes}."""

    def read(folder: Path) -> dict[str, bytes]:
        files = (path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}

    return read


@pytest.fixture
def new_web_server() -> Iterator[Callable[[], WebServer]]:
    """Start web servers on the loopback, as many as a test needs; see web_server.py."""
    path = ROOT / "tests" / "web_server.py"  # tests are no package: it has no name to import
    spec = importlib.util.spec_from_file_location("web_server", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclasses look for themselves
    spec.loader.exec_module(module)
    started: list[WebServer] = []

    def start() -> WebServer:
        started.append(module.WebServer())
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def web_server(new_web_server: Callable[[], WebServer]) -> WebServer:
    """A web server on the loopback, without a page as yet."""
    return new_web_server()


@pytest.fixture(scope="session")
def label_studio() -> Iterator[Path]:
    """An environment with the labelling server: the one that is named, or one kept for tests."""
    from occlufer.annotation.server import installation
    from occlufer.errors import MissingError

    cache = ROOT / ".cache"
    with pytest.MonkeyPatch.context() as patch:
        if installation.VARIABLE not in os.environ:
            cache.mkdir(exist_ok=True)
            try:
                installation.install(cache / "label_studio", cache / "install.log")
            except MissingError as error:
                pytest.fail(f"no labelling server: {error}")
            patch.setenv(installation.VARIABLE, str(cache / "label_studio"))
        yield Path(os.environ[installation.VARIABLE])


@pytest.fixture(scope="session")
def studio_server(label_studio: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A labelling server of the tests' own: `.connection`, `.files`, `.invite`; for slow tests."""
    from occlufer.annotation.server.server import start, stop

    workspace = tmp_path_factory.mktemp("studio") / "workspace"
    workspace.mkdir()
    yield start(workspace)
    stop(workspace)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    """A browser without a window, its page as large as a small laptop's screen."""
    from browser import Browser, chromium

    if chromium() is None:
        pytest.skip("no Chromium: `make test-all` installs it where it may (apt-get, as root)")
    started = Browser(tmp_path / "browser")
    yield started
    started.close()


@pytest.fixture(scope="session")
def trip(label_studio: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trip]:
    """A whole round trip of labelling, see round_trip.py; nobody changes what it has left."""
    from round_trip import travel

    from occlufer.annotation.server.server import stop

    folder = tmp_path_factory.mktemp("round_trip")
    try:
        yield travel(folder)
    finally:
        stop(folder / "workspace")
