from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from occlufer.builders.gather import gather
from occlufer.builders.sources import web
from occlufer.builders.web.collect import fetch
from occlufer.builders.web.ledger import LEDGER_NAME, Ledger
from occlufer.cli import main
from occlufer.config import SourceConfig, load_config
from occlufer.errors import MissingError, UsageError
from occlufer.workspace import open_workspace

if TYPE_CHECKING:
    from web_server import WebServer

SECRET = "Jane Doe, 52.37 N 4.89 E"


def picture(number: int, comment: str = "") -> bytes:
    """A JPEG that no other number gives."""
    pixels = np.random.default_rng(number).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=60, comment=comment.encode())
    return file.getvalue()


def write_config(folder: Path, server: WebServer, rows: list[str], **settings: Any) -> Path:
    """A config with one list of photographs: rows of url,licence,author,title,page."""
    table = "\n".join(["url,licence,author,title,page", *rows])
    (folder / "list.csv").write_text(table, encoding="utf-8")
    fields = {
        "kind": "web",
        "name": "photographs",
        "path": "photographs",
        "service": "urls",
        "urls": "list.csv",
        "contact": "me@lab.example",
        "host_interval_s": 0,
        "allow_hosts": [server.host],
        **settings,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in fields.items()]
    path = folder / "occlufer.toml"
    path.write_text("\n".join(["[[sources]]", *lines]), encoding="utf-8")
    return path


def fetched(config: Path, retry: bool = False) -> dict[str, Any]:
    summary: dict[str, Any] = fetch(load_config(config).sources, retry=retry)["photographs"]
    return summary


def outcomes(folder: Path) -> dict[str, tuple[str, str]]:
    """{path of the address: (state, reason)}"""
    ledger = Ledger(folder / "photographs")
    found = {
        photograph.url.rpartition("/")[2]: (outcome.state, outcome.reason)
        for photograph, outcome in ledger.photographs()
    }
    ledger.close()
    return found


def test_what_is_fetched_becomes_records_with_licence_author_and_evidence(
    tmp_path: Path, web_server: WebServer
) -> None:
    web_server.routes["/a.jpg"] = web_server.answer(
        picture(1, SECRET), headers={"Content-Type": "image/jpeg", "Set-Cookie": "a=b"}
    )
    row = f"{web_server.url('/a.jpg')},CC BY-SA 4.0,Ann | Other,A face,https://photos.example/1"
    config = write_config(tmp_path, web_server, [row])
    assert fetched(config)["fetched"] == 1
    with open_workspace(tmp_path / "w") as workspace:
        assert gather(load_config(config).sources, workspace, 1) == 1
        (record,) = workspace.catalog.records()
        assert record.reject is None
        data = workspace.images.get(str(record.image))
    assert SECRET.encode() not in data
    facts = record.facts
    assert (facts.licence, facts.rights) == ("CC-BY-SA-4.0", "publishable")
    assert (facts.attribution, facts.content) == ("A face by Ann | Other", "photograph")
    assert facts.votes == ()
    assert facts.evidence is not None
    evidence = dict(facts.evidence)
    assert evidence["page"] == "https://photos.example/1"
    assert evidence["headers"]["content-type"] == "image/jpeg"
    assert "set-cookie" not in evidence["headers"]
    assert evidence["robots"][0]["allowed"] is True
    assert evidence["tdmrep"][0]["reserved"] is False
    assert evidence["fetched_at"].startswith("20")
    with Image.open(io.BytesIO(data)) as clean, Image.open(io.BytesIO(picture(1))) as original:
        assert np.array_equal(np.asarray(clean), np.asarray(original))


def test_whatever_is_not_allowed_is_left_out_with_its_reason(
    tmp_path: Path, web_server: WebServer
) -> None:
    answer = web_server.answer
    web_server.routes |= {
        "/robots.txt": answer(b"User-agent: *\nDisallow: /private/\n"),
        "/good.jpg": answer(picture(1)),
        "/private/closed.jpg": answer(picture(2)),
        "/noai.jpg": answer(picture(3), headers={"X-Robots-Tag": "noai"}),
        "/page.jpg": answer(b"<html>a page</html>", headers={"Content-Type": "image/jpeg"}),
        "/broken.jpg": answer(picture(4)[:-100]),
        "/unpaid.jpg": answer(picture(5)),
        "/nd.jpg": answer(picture(6)),
    }
    names = ("good.jpg", "private/closed.jpg", "noai.jpg", "page.jpg", "broken.jpg", "gone.jpg")
    rows = [f"{web_server.url('/' + name)},CC0,,," for name in names]
    rows += [f"{web_server.url('/unpaid.jpg')},All rights reserved,,,"]
    rows += [f"{web_server.url('/nd.jpg')},CC BY-ND 4.0,,,", "file:///etc/passwd,CC0,,,"]
    config = write_config(tmp_path, web_server, rows)
    summary = fetched(config)
    assert outcomes(tmp_path) == {
        "good.jpg": ("fetched", ""),
        "closed.jpg": ("skipped", "robots"),
        "noai.jpg": ("skipped", "opted_out"),
        "page.jpg": ("skipped", "not_an_image"),
        "broken.jpg": ("skipped", "undecodable"),
        "gone.jpg": ("skipped", "http_404"),
        "nd.jpg": ("skipped", "licence"),
    }
    assert summary["skipped"]["unknown_licence"] == 1
    assert summary["skipped"]["blocked_scheme"] == 1
    for path in ("/private/closed.jpg", "/unpaid.jpg", "/nd.jpg"):
        assert web_server.requests[path] == 0
    with open_workspace(tmp_path / "w") as workspace:
        gather(load_config(config).sources, workspace, 1)
        records = list(workspace.catalog.records())
    assert len(records) == len(rows)
    assert sum(record.reject is None for record in records) == 1
    assert len(list((tmp_path / "photographs/images").glob("*/*"))) == 1


def test_what_failed_is_tried_once_more_only_when_asked(
    tmp_path: Path, web_server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("occlufer.builders.web.collect.Limits", quick_limits())
    web_server.routes["/a.jpg"] = web_server.answer(b"busy", status=503)
    config = write_config(tmp_path, web_server, [f"{web_server.url('/a.jpg')},CC0,,,"])
    assert fetched(config)["failed"] == {"http_503": 1}
    web_server.routes["/a.jpg"] = web_server.answer(picture(1))
    assert fetched(config)["failed"] == {"http_503": 1}
    assert fetched(config, retry=True) == {
        "path": str(tmp_path / "photographs"),
        "fetched": 1,
        "planned": 0,
        "skipped": {},
        "failed": {},
    }


def quick_limits() -> Callable[..., Any]:
    from occlufer.builders.web.fetch import Limits

    return lambda per_host_s: Limits(per_host_s=per_host_s, backoff_s=0, retries=1)


def test_a_service_s_photographs_are_asked_for_once_and_fetched(
    tmp_path: Path, web_server: WebServer
) -> None:
    asked: list[str] = []

    def search(request: Any) -> Any:
        asked.append(request.path)
        return web_server.answer(json.dumps(openverse_page(web_server)).encode())(request)

    web_server.routes["/v1/images/"] = search
    web_server.routes["/1.jpg"] = web_server.answer(picture(1))
    settings = {
        "service": "openverse",
        "endpoint": web_server.url(""),
        "expressions": ["angry person"],
        "occlusions": ["sunglasses"],
        "limit": 5,
    }
    config = write_config(tmp_path, web_server, [], **settings)
    text = config.read_text(encoding="utf-8").replace('urls = "list.csv"\n', "")
    config.write_text(text, encoding="utf-8")
    assert fetched(config)["fetched"] == 1
    assert fetched(config)["fetched"] == 1
    assert len(asked) == 1
    assert web_server.requests["/1.jpg"] == 1


def openverse_page(server: WebServer) -> dict[str, Any]:
    result = {
        "id": "0aff3595-8168-440b-83ff-7a80b65dea42",
        "title": "Face",
        "foreign_landing_url": "https://photos.example/1",
        "url": server.url("/1.jpg"),
        "creator": "Ann",
        "license": "by",
        "license_version": "4.0",
        "license_url": "https://creativecommons.org/licenses/by/4.0/",
        "attribution": '"Face" by Ann is licensed under CC BY 4.0.',
        "source": "flickr",
        "filesize": 100,
        "mature": False,
        "tags": [],
    }
    return {"result_count": 1, "page_count": 1, "page_size": 20, "page": 1, "results": [result]}


KILLS = 3


def test_two_thousand_photographs_arrive_once_each_through_three_kills(
    tmp_path: Path, web_server: WebServer
) -> None:
    count = 2000
    bodies = {f"/{n}.jpg": picture(n) for n in range(count)}
    web_server.routes |= {path: web_server.answer(body) for path, body in bodies.items()}
    rows = [f"{web_server.url(path)},CC0,,," for path in bodies]
    config = write_config(tmp_path, web_server, rows)
    command = [sys.executable, "-m", "occlufer.cli", "fetch", "--config", str(config), "--json"]
    for kill in range(KILLS):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wanted = (kill + 1) * count // (KILLS + 2)
        while sum(web_server.requests[path] for path in bodies) < wanted:
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    summary = json.loads(done.stdout)["photographs"]
    assert (summary["fetched"], summary["planned"]) == (count, 0)
    # One host is visited one by one: what a kill met on its way is all that is asked for again.
    times = Counter(web_server.requests[path] for path in bodies)
    assert times[1] >= count - KILLS
    assert times[1] + times[2] == count
    kept = [path.read_bytes() for path in (tmp_path / "photographs/images").glob("*/*")]
    assert sorted(kept) == sorted(bodies.values())


def test_a_second_fetch_of_the_same_folder_is_refused(
    tmp_path: Path, web_server: WebServer
) -> None:
    config = write_config(tmp_path, web_server, [])
    (tmp_path / "photographs").mkdir()
    code = (
        "import sys, time; from pathlib import Path; from occlufer.workspace import held\n"
        "with held(Path(sys.argv[1]), '{}'):\n    print('held', flush=True); time.sleep(60)"
    )
    lock = str(tmp_path / "photographs/lock")
    holder = subprocess.Popen([sys.executable, "-c", code, lock], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(UsageError, match=f"another fetch \\(process {holder.pid}\\)"):
        fetched(config)
    holder.kill()
    holder.wait()
    holder.stdout.close()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"contact": ""}, ("photographs", "contact", "you@lab.example")),
        ({"service": "pexels"}, ("urls", "only then")),
        ({"limit": 0}, ("limit", "found 0")),
        ({"licences": ["Mine"]}, ("licences", "'Mine'")),
        ({"contact": "mé@lab.example"}, ("contact", "ASCII")),
    ],
    ids=["contact", "urls", "limit", "licences", "ascii"],
)
def test_settings_that_cannot_be_are_refused_in_words(
    tmp_path: Path, web_server: WebServer, settings: dict[str, Any], words: tuple[str, ...]
) -> None:
    config = write_config(tmp_path, web_server, [], **settings)
    with pytest.raises(UsageError) as caught:
        fetched(config)
    for word in words:
        assert word in str(caught.value)


def test_services_that_forbid_datasets_are_refused_with_the_reason(
    tmp_path: Path, web_server: WebServer
) -> None:
    config = write_config(tmp_path, web_server, [], service="pexels")
    text = config.read_text(encoding="utf-8").replace('urls = "list.csv"\n', "")
    config.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="pexels is refused: its terms"):
        fetched(config)


def test_a_build_before_any_fetch_says_what_to_run(tmp_path: Path) -> None:
    source = SourceConfig("web", "photographs", {"path": str(tmp_path / "photographs")})
    with pytest.raises(MissingError, match="occlufer fetch"):
        next(web.entries(web.Settings(tmp_path / "photographs"), source.name))


def test_the_command_needs_a_source_of_that_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "occlufer.toml"
    config.write_text('[[sources]]\nkind = "synthetic"\n', encoding="utf-8")
    assert main(["fetch", "--config", str(config)]) == 2
    assert 'expected any of kind = "web"' in capsys.readouterr().err


def test_a_folder_with_a_ledger_is_recognised(tmp_path: Path) -> None:
    assert web.detect(tmp_path) is None
    Ledger(tmp_path).close()
    assert (tmp_path / LEDGER_NAME).is_file()
    assert web.detect(tmp_path) == "web photographs with their ledger"
