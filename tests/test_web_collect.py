from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
import numpy as np
import pytest
from PIL import Image

from occlufer.builders.gather import gather
from occlufer.builders.publish import lock_config
from occlufer.builders.sources import web
from occlufer.builders.tombstones import Tombstones
from occlufer.builders.web.collect import fetch
from occlufer.builders.web.errors import ServiceError
from occlufer.builders.web.ledger import LEDGER_NAME, Ledger, Outcome
from occlufer.cli import main
from occlufer.config import SourceConfig
from occlufer.config_file import load_config
from occlufer.errors import MissingError, UsageError
from occlufer.images import ImageStore
from occlufer.tables import read_table
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


def test_what_was_taken_down_is_never_asked_for_and_its_bytes_are_not_kept(
    tmp_path: Path, web_server: WebServer
) -> None:
    named = {"/a.jpg": 1, "/b.jpg": 2, "/again.jpg": 1, "/c.jpg": 3}
    web_server.routes |= {path: web_server.answer(picture(n)) for path, n in named.items()}
    pages = {"/b.jpg": "https://photos.example/b"}
    rows = [f"{web_server.url(path)},CC0,,,{pages.get(path, '')}" for path in named]
    config = write_config(tmp_path, web_server, rows)
    (tmp_path / "a.jpg").write_bytes(picture(1))
    taken = [web_server.url("/a.jpg"), pages["/b.jpg"], str(tmp_path / "a.jpg")]
    assert main(["takedown", "add", *taken, "--config", str(config)]) == 0
    assert main(["fetch", "--config", str(config)]) == 0
    assert outcomes(tmp_path) == {
        "a.jpg": ("skipped", "taken_down"),
        "b.jpg": ("skipped", "taken_down"),
        "again.jpg": ("skipped", "taken_down"),
        "c.jpg": ("fetched", ""),
    }
    assert web_server.requests["/a.jpg"] == web_server.requests["/b.jpg"] == 0
    kept = [path for path in (tmp_path / "photographs" / "images").rglob("*") if path.is_file()]
    assert len(kept) == 1
    (tmp_path / "takedown.jsonl").unlink()  # taken back
    assert main(["fetch", "--config", str(config)]) == 0
    assert {state for state, _ in outcomes(tmp_path).values()} == {"fetched"}


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


def gathered(folder: Path, config: Path) -> dict[str, tuple[str, str]]:
    """{end of the record's name: (licence, why it is left out)}"""
    with open_workspace(folder / "w") as workspace:
        gather(load_config(config).sources, workspace, 1)
        return {
            record.id.rpartition("/")[2]: (
                record.facts.licence,
                record.reject.reason if record.reject else "",
            )
            for record in workspace.catalog.records()
        }


def test_what_the_list_says_now_counts(tmp_path: Path, web_server: WebServer) -> None:
    web_server.routes |= {f"/{n}.jpg": web_server.answer(picture(n)) for n in range(4)}
    rows = [f"{web_server.url(f'/{n}.jpg')},CC0,Ann,," for n in range(4)]
    config = write_config(tmp_path, web_server, [*rows, "nowhere,CC0,,,"])
    assert fetched(config)["fetched"] == 4
    assert gathered(tmp_path, config)["list.csv, line 6"] == ("unknown", "bad_url")
    by, unknown = (rows[n].replace("CC0", x) for n, x in ((1, "CC BY 4.0"), (2, "All rights")))
    config = write_config(tmp_path, web_server, [rows[0], by, unknown])
    summary = fetched(config)
    assert summary["fetched"] == 2
    assert summary["skipped"] == {"not_listed": 2, "unknown_licence": 1}
    assert gathered(tmp_path, config) == {
        "0.jpg": ("CC0-1.0", ""),
        "1.jpg": ("CC-BY-4.0", ""),
        "2.jpg": ("CC0-1.0", "not_listed"),
        "3.jpg": ("CC0-1.0", "not_listed"),
        "list.csv, line 4": ("unknown", "unknown_licence"),
    }
    config = write_config(tmp_path, web_server, rows)
    assert fetched(config)["fetched"] == 4
    assert set(gathered(tmp_path, config).values()) == {("CC0-1.0", "")}
    assert {web_server.requests[f"/{n}.jpg"] for n in range(4)} == {1}


def test_other_licences_may_be_wanted_later(tmp_path: Path, web_server: WebServer) -> None:
    web_server.routes |= {f"/{n}.jpg": web_server.answer(picture(n)) for n in range(2)}
    rows = [f"{web_server.url('/0.jpg')},CC0,,,", f"{web_server.url('/1.jpg')},CC BY-NC 4.0,,,"]
    config = write_config(tmp_path, web_server, rows)
    assert fetched(config)["skipped"] == {"licence": 1}
    config = write_config(tmp_path, web_server, rows, licences=["CC0", "CC-BY-NC"])
    assert fetched(config)["fetched"] == 2
    assert set(gathered(tmp_path, config).values()) == {("CC0-1.0", ""), ("CC-BY-NC-4.0", "")}
    config = write_config(tmp_path, web_server, rows, licences=["CC0"])
    assert gathered(tmp_path, config)["1.jpg"] == ("CC-BY-NC-4.0", "licence")


def test_a_picture_that_is_gone_or_damaged_is_told_and_fetched_again_when_asked(
    tmp_path: Path, web_server: WebServer
) -> None:
    web_server.routes |= {f"/{n}.jpg": web_server.answer(picture(n)) for n in range(3)}
    rows = [f"{web_server.url(f'/{n}.jpg')},CC0,,," for n in range(3)]
    config = write_config(tmp_path, web_server, rows)
    fetched(config)
    gone, damaged, _ = sorted((tmp_path / "photographs/images").glob("*/*"))
    gone.unlink()
    damaged.write_bytes(picture(9))
    with open_workspace(tmp_path / "w") as workspace:
        gather(load_config(config).sources, workspace, 1)
        rejects = [record.reject for record in workspace.catalog.records() if record.reject]
    details = sorted(reject.detail for reject in rejects)
    assert [f"{gone.name} is gone", f"{damaged.name} is damaged"] == [
        detail.partition(";")[0] for detail in details
    ]
    assert all("`occlufer fetch --retry failed`" in detail for detail in details)
    damaged.unlink()
    fetched(config)
    assert not gone.exists()  # perhaps somebody wants it so
    assert fetched(config, retry=True)["fetched"] == 3
    assert set(gathered(tmp_path, config).values()) == {("CC0-1.0", "")}


def test_a_build_leaves_the_ledger_as_it_is(tmp_path: Path, web_server: WebServer) -> None:
    web_server.routes["/a.jpg"] = web_server.answer(picture(1))
    config = write_config(tmp_path, web_server, [f"{web_server.url('/a.jpg')},CC0,,,"])
    fetched(config)
    folder = tmp_path / "photographs"
    settings = web.Settings(folder)
    with contextlib.closing(sqlite3.connect(folder / LEDGER_NAME)) as ledger:
        ledger.execute("PRAGMA journal_mode = DELETE")  # as of a copy that was made otherwise
    before = (folder / LEDGER_NAME).read_bytes()
    assert len([*web.entries(settings, "photographs")]) == 1
    assert (folder / LEDGER_NAME).read_bytes() == before
    (folder / LEDGER_NAME).write_bytes(b"")
    with pytest.raises(MissingError, match=r"found nothing in it, .* run `occlufer fetch`"):
        next(web.entries(settings, "photographs"))
    assert (folder / LEDGER_NAME).read_bytes() == b""


@pytest.mark.parametrize("killed", [False, True], ids=["closed", "killed"])
def test_a_ledger_in_a_folder_that_cannot_be_written_is_read(
    tmp_path: Path, web_server: WebServer, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    web_server.routes["/a.jpg"] = web_server.answer(picture(1))
    config = write_config(tmp_path, web_server, [f"{web_server.url('/a.jpg')},CC0,,,"])
    fetched(config)
    folder = tmp_path / "photographs"
    ledger = Ledger(folder)
    if killed:
        ledger.put(web_server.url("/a.jpg"), Outcome("skipped", "opted_out"))
    else:
        ledger.close()
    shutil.copytree(folder, tmp_path / "copy")  # with the log, if it is not closed
    ledger.close()
    # Root may write everywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    before = sorted(path.name for path in (tmp_path / "copy").iterdir())
    (entry,) = web.entries(web.Settings(tmp_path / "copy"), "photographs")
    assert (entry.reject is not None) == killed
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == before


@pytest.mark.parametrize("command", ["fetch", "build"])
@pytest.mark.parametrize("kept", [0, 4096], ids=["no database", "broken pages"])
def test_a_damaged_ledger_is_named(
    tmp_path: Path,
    web_server: WebServer,
    capsys: pytest.CaptureFixture[str],
    command: str,
    kept: int,
) -> None:
    web_server.routes["/a.jpg"] = web_server.answer(picture(1))
    config = write_config(tmp_path, web_server, [f"{web_server.url('/a.jpg')},CC0,,,"])
    fetched(config)
    path = tmp_path / "photographs" / LEDGER_NAME
    data = path.read_bytes()
    path.write_bytes(data[:kept] + b"\xa5" * (len(data) - kept))
    place = ["--workspace", str(tmp_path / "w")] if command == "build" else []
    assert main([command, "--config", str(config), *place]) == 1
    told = capsys.readouterr().err
    assert f"{path}: the ledger of photographs cannot be read" in told
    assert "move it away and fetch again" in told


def test_a_full_disk_ends_the_fetch_and_the_same_command_goes_on(
    tmp_path: Path,
    web_server: WebServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    web_server.routes |= {f"/{n}.jpg": web_server.answer(picture(n)) for n in range(3)}
    rows = [f"{web_server.url(f'/{n}.jpg')},CC0,,," for n in range(3)]
    config = write_config(tmp_path, web_server, rows)
    put = ImageStore.put

    def full(store: ImageStore, data: bytes) -> str:
        if data == picture(1):
            raise OSError(errno.ENOSPC, "No space left on device", str(store.folder))
        return put(store, data)

    with monkeypatch.context() as patch:
        patch.setattr(ImageStore, "put", full)
        assert main(["fetch", "--config", str(config)]) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert outcomes(tmp_path)["0.jpg"] == ("fetched", "")
    assert outcomes(tmp_path)["1.jpg"] == ("planned", "")
    assert main(["fetch", "--config", str(config)]) == 0
    assert set(outcomes(tmp_path).values()) == {("fetched", "")}
    assert [web_server.requests[f"/{n}.jpg"] for n in range(3)] == [1, 2, 1]


def test_an_interrupt_ends_a_fetch_at_once_and_the_same_command_goes_on(
    tmp_path: Path, web_server: WebServer
) -> None:
    web_server.routes["/0.jpg"] = web_server.answer(picture(0))
    web_server.routes["/1.jpg"] = web_server.silent()
    rows = [f"{web_server.url(f'/{n}.jpg')},CC0,,," for n in range(2)]
    config = write_config(tmp_path, web_server, rows)
    command = [sys.executable, "-m", "occlufer.cli", "fetch", "--config", str(config)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not web_server.requests["/1.jpg"]:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    _, told = process.communicate(timeout=60)
    assert time.monotonic() - begun < 10  # a read may take 20 s
    assert process.returncode == 130
    assert "run the same command to go on" in told
    web_server.routes["/1.jpg"] = web_server.answer(picture(1))
    assert fetched(config)["fetched"] == 2
    assert web_server.requests["/0.jpg"] == 1


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
        ({"allow_hosts": ["localhost"]}, ("allow_hosts", "'localhost'", "host:port")),
        ({"allow_hosts": ["https://a.example:80"]}, ("allow_hosts", "host:port")),
    ],
    ids=["contact", "urls", "limit", "licences", "ascii", "port", "scheme"],
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
    with pytest.raises(UsageError, match="source photographs: service: pexels is refused: its te"):
        fetched(config)


def test_blank_words_are_refused_by_the_source_s_name(
    tmp_path: Path, web_server: WebServer
) -> None:
    config = write_config(tmp_path, web_server, [], service="openverse", expressions=[" "])
    text = config.read_text(encoding="utf-8").replace('urls = "list.csv"\n', "")
    config.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="source photographs: expressions: found blank words"):
        fetched(config)


def test_a_folder_at_an_address_is_refused_and_not_made_here(
    tmp_path: Path, web_server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = write_config(tmp_path, web_server, [], path="s3://bucket/photographs")
    with pytest.raises(UsageError, match=r"source photographs: found the address .*s3://bucket"):
        fetched(config)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["list.csv", "occlufer.toml"]


def test_a_list_at_an_address_is_read(
    tmp_path: Path, web_server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    web_server.routes["/a.jpg"] = web_server.answer(picture(1))
    row = f"url,licence\n{web_server.url('/a.jpg')},CC0\n"
    fsspec.filesystem("memory").pipe("/lists/list.csv", row.encode())
    config = write_config(tmp_path, web_server, [], urls="memory://lists/list.csv")
    assert fetched(config)["fetched"] == 1


def test_two_sources_do_not_share_a_folder(tmp_path: Path, web_server: WebServer) -> None:
    config = write_config(tmp_path, web_server, [])
    text = config.read_text(encoding="utf-8")
    more = text.replace('name = "photographs"', 'name = "more"')
    config.write_text(f"{text}\n{more}", encoding="utf-8")
    with pytest.raises(UsageError, match=r"source more: found path .* that of photographs"):
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


def test_a_search_that_cannot_be_read_costs_only_itself(
    tmp_path: Path, web_server: WebServer
) -> None:
    def search(request: Any) -> Any:
        good = "laughing" in request.path
        page = openverse_page(web_server) if good else {"detail": "changed"}
        return web_server.answer(json.dumps(page).encode())(request)

    web_server.routes["/v1/images/"] = search
    web_server.routes["/1.jpg"] = web_server.answer(picture(1))
    settings = {
        "service": "openverse",
        "endpoint": web_server.url(""),
        "expressions": ["angry person", "laughing person"],
        "occlusions": ["sunglasses"],
    }
    config = write_config(tmp_path, web_server, [], **settings)
    text = config.read_text(encoding="utf-8").replace('urls = "list.csv"\n', "")
    config.write_text(text, encoding="utf-8")
    with pytest.raises(ServiceError, match="angry person"):
        fetched(config)
    assert outcomes(tmp_path) == {"1.jpg": ("fetched", "")}


def test_every_search_that_failed_is_told(
    tmp_path: Path, web_server: WebServer, caplog: pytest.LogCaptureFixture
) -> None:
    web_server.routes["/v1/images/"] = web_server.answer(b'{"detail": "changed"}')
    settings = {
        "service": "openverse",
        "endpoint": web_server.url(""),
        "expressions": ["angry person", "sad person", "scared person"],
        "occlusions": ["sunglasses"],
    }
    config = write_config(tmp_path, web_server, [], **settings)
    text = config.read_text(encoding="utf-8").replace('urls = "list.csv"\n', "")
    config.write_text(text, encoding="utf-8")
    with pytest.raises(ServiceError) as raised:
        fetched(config)
    for words in settings["expressions"]:
        told = [*caplog.messages, str(raised.value)]
        assert sum(f"search '{words} sunglasses': " in text for text in told) == 1


def test_what_stands_in_the_query_of_an_address_is_no_name(
    tmp_path: Path, web_server: WebServer
) -> None:
    web_server.routes["/a.jpg"] = web_server.answer(picture(1))
    url = web_server.url("/a.jpg")
    rows = [f"{url}?token=canary-{n},CC0,,," for n in range(2)]
    config = write_config(tmp_path, web_server, rows)
    assert fetched(config)["fetched"] == 2
    (source,) = load_config(config).sources
    settings = read_table(web.Settings, source.settings, "source")
    names = [entry.source_id for entry in web.entries(settings, "photographs")]
    assert len(set(names)) == 2
    assert all(name.startswith(f"{url}#") and "canary" not in name for name in names)


def test_who_fetches_and_how_is_not_published(tmp_path: Path, web_server: WebServer) -> None:
    config = load_config(write_config(tmp_path, web_server, []))
    (source,) = lock_config(config, Tombstones(), ())["sources"]
    assert set(source) == {"kind", "name", "service"}
