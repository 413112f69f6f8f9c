"""Fetching: images/s beside img2dataset on one local server, and what each makes of bad answers.

Both are whole commands, the start of Python included, and decode what they keep. Ours visits many
hosts at a time, each one by one, so the server answers under as many addresses as it visits hosts;
img2dataset has as many threads, and is at its defaults else: it asks once, and takes pictures of
any size. Nobody waits between two requests to a host here; out in the web ours does, for a second,
and img2dataset does not. What is right of a bad answer is by the rules of docs/web.md.

img2dataset has an environment of its own in .cache, made on the first run.
`python benchmarks/fetching.py 200` fetches fewer images.
"""

from __future__ import annotations

import io
import itertools
import json
import statistics
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _bars import Bar, at_least, finish
from _environment import PINS, MissingPeerError, Ran, measured, python_of
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from web_server import Route, WebServer, answer  # the server of the tests

COUNT, REPEATS, SIDE_PX = 2_000, 3, 224
HOSTS = 16
# Ours gives an answer 60 s from its first byte to its last.
LIMIT_S = 75
# What an answer that has no end may fill, of the memory that a process may ask for.
LIMIT_KIB = 4_000_000
OURS, THEIRS = "occlufer", "img2dataset"


def main() -> None:
    count = next((int(word) for word in sys.argv[1:] if word.isdigit()), COUNT)
    if count <= HOSTS:
        raise SystemExit(f"found {count} images, expected more than {HOSTS}, one for each host")
    details: dict[str, Any] = {"images": count, "side_px": SIDE_PX, "hosts": HOSTS}
    fetchers: dict[str, Fetcher] = {OURS: fetch_by_ours}
    try:
        python = python_of(THEIRS)
        fetchers[THEIRS] = lambda urls, folder: fetch_by_theirs(python, urls, folder)
        details["peers"] = PINS[THEIRS]
    except MissingPeerError as error:
        details["missing"] = f"{error}; its bars fail"
    details |= rates(fetchers, count)
    details["answers"] = answers = {
        case.name: {name: judged(case, fetch) for name, fetch in fetchers.items()} for case in CASES
    }
    finish("fetching", bars_of(details, answers), details)


def bars_of(details: dict[str, Any], answers: dict[str, dict[str, Any]]) -> list[Bar]:
    """Return the ratio to the peer, and how many answers ours takes as it should."""
    right = sum(found[OURS]["right"] for found in answers.values())
    return [
        *(
            at_least(f"images/s of {what}, times as fast as img2dataset", ratio, 0.5)
            for what, ratio in (details["ratios"] or {"whole commands": 0.0}).items()
        ),
        at_least(f"bad answers taken as they should be, of {len(CASES)}", right, len(CASES)),
    ]


# The two of them ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """What a command made of a list of addresses."""

    ran: Ran
    kept: int
    reasons: list[str]
    """Why it kept no others."""


Fetcher = Callable[[Sequence[str], Path], Found]


def fetch_by_ours(urls: Sequence[str], folder: Path) -> Found:
    """Run `occlufer fetch` on a list of addresses."""
    lines = ["url,licence", *(f"{url},CC0-1.0" for url in urls)]
    (folder / "list.csv").write_text("\n".join(lines))
    hosts = sorted({url.split("/")[2] for url in urls})
    (folder / "occlufer.toml").write_text(
        '[[sources]]\nkind = "web"\nname = "made"\npath = "made"\nservice = "urls"\n'
        f'urls = "list.csv"\ncontact = "bench@lab.example"\nhost_interval_s = 0\n'
        f"allow_hosts = {json.dumps(hosts)}\n"
    )
    command = [sys.executable, "-m", "occlufer.cli", "fetch", "--json"]
    ran = measured(limited(command), folder, LIMIT_S if len(urls) < 10 else 3600)
    if ran.status != 0:
        return Found(ran, 0, [died(ran)])
    told = json.loads(ran.out)["made"]
    reasons = [reason for state in ("skipped", "failed") for reason in told[state]]
    return Found(ran, told["fetched"], reasons)


def fetch_by_theirs(python: Path, urls: Sequence[str], folder: Path) -> Found:
    """Run img2dataset on a list of addresses; it keeps JPEG as it came, as ours does."""
    (folder / "list.txt").write_text("\n".join(urls))
    command: list[str | Path] = [
        python.with_name("img2dataset"),
        "--url_list=list.txt",
        "--output_folder=images",
    ]
    command += ["--resize_mode=no", "--skip_reencode=True", "--processes_count=1"]
    command += [f"--thread_count={HOSTS}", "--number_sample_per_shard=1000"]
    command += ["--enable_wandb=False"]
    # It asks the Internet for a newer version of a library of its own at every start.
    quiet = {"NO_ALBUMENTATIONS_UPDATE": "1"}
    ran = measured(limited(command), folder, LIMIT_S if len(urls) < 10 else 3600, quiet)
    stories = [json.loads(path.read_text()) for path in sorted(folder.glob("images/*/*.json"))]
    kept = len(list(folder.glob("images/*/*.jpg")))
    reasons = [said(story) for story in statuses(folder)]
    if ran.status != 0 or not (stories or reasons):
        reasons.append(died(ran))
    return Found(ran, kept, reasons)


def statuses(folder: Path) -> list[dict[str, Any]]:
    """Return what img2dataset says of every address that it kept nothing of."""
    import pyarrow.parquet as pq

    paths = sorted(folder.glob("images/*.parquet"))
    # One that was stopped leaves an empty file.
    tables = [pq.read_table(path) for path in paths if path.stat().st_size]
    rows: list[dict[str, Any]] = [row for table in tables for row in table.to_pylist()]
    return [row for row in rows if row["status"] != "success"]


def said(story: dict[str, Any]) -> str:
    return f"{story['status']}: {' '.join(str(story['error_message']).split())[:120]}"


def limited(command: Sequence[str | Path]) -> list[str | Path]:
    """Return a command that gets no more memory than LIMIT_KIB in any process."""
    return ["bash", "-c", f'ulimit -v {LIMIT_KIB}; exec "$0" "$@"', *command]


def died(ran: Ran) -> str:
    """Return how a command ended that did not end well."""
    if ran.status is None:
        return f"still under way after {LIMIT_S} s"
    words = [line for line in ran.err.splitlines() if line.strip()]
    return f"status {ran.status}: {words[-1].strip()[:120] if words else 'no word'}"


# Good answers -------------------------------------------------------------------------------------


def rates(fetchers: dict[str, Fetcher], count: int) -> dict[str, Any]:
    """Return images/s of each, in turns, and the ratios of their medians.

    Of whole commands, and of what they take beyond a picture for each host: their start, mostly.
    """
    runs: dict[str, dict[int, list[Ran]]] = {name: {HOSTS: [], count: []} for name in fetchers}
    with served(drawn(count)) as urls:
        for _, (name, fetch), some in itertools.product(
            range(REPEATS), fetchers.items(), (HOSTS, count)
        ):
            with tempfile.TemporaryDirectory() as folder:
                found = fetch(urls[:some], Path(folder))
            assert found.kept == some, (name, found)
            runs[name][some].append(found.ran)
    seconds = {
        name: {some: statistics.median(ran.wall_s for ran in r) for some, r in known.items()}
        for name, known in runs.items()
    }
    whole = {name: count / known[count] for name, known in seconds.items()}
    beyond = {
        name: (count - HOSTS) / (known[count] - known[HOSTS])
        for name, known in seconds.items()
        if known[count] > known[HOSTS]  # of few images the start is all that is measured
    }
    ratios = {"whole commands": whole, "beyond their start": beyond}
    return {
        "images_per_s": {
            what: {name: round(rate, 1) for name, rate in rates_of.items()}
            for what, rates_of in ratios.items()
        },
        "ratios": {
            what: round(rates_of[OURS] / rates_of[THEIRS], 3)
            for what, rates_of in ratios.items()
            if {OURS, THEIRS} <= rates_of.keys()
        },
        "seconds": {
            name: {
                f"{some} images": [round(ran.wall_s, 2) for ran in r] for some, r in known.items()
            }
            for name, known in runs.items()
        },
        "peak_mb": {name: peak(known[count]) for name, known in runs.items()},
    }


def peak(runs: list[Ran]) -> int | None:
    known = [ran.peak_mb for ran in runs if ran.peak_mb is not None]
    return round(max(known)) if known else None


@contextmanager
def served(pictures: Sequence[bytes]) -> Iterator[list[str]]:
    """Give the addresses of pictures on HOSTS servers, which run until the block ends."""
    with ExitStack() as stack:
        servers = [WebServer(address=f"127.0.0.{number}") for number in range(1, HOSTS + 1)]
        for server in servers:
            stack.callback(server.stop)
        urls = []
        for number, data in enumerate(pictures):
            server = servers[number % HOSTS]
            server.routes[f"/{number}.jpg"] = answer(data)
            urls.append(server.url(f"/{number}.jpg"))
        yield urls


def drawn(count: int) -> list[bytes]:
    """Return drawn faces as JPEG, each one different."""
    from occlufer.builders.synthetic import FacePlan, draw_face, encode_jpeg
    from occlufer.schema import LABELS

    some = [draw_face(FacePlan(LABELS[i % len(LABELS)], i, i)).image_rgb for i in range(20)]
    files = []
    for number in range(count):
        image = some[number % len(some)].copy()
        image[: SIDE_PX // 2] = image[: SIDE_PX // 2] // 2 + number // len(some) % 128
        files.append(encode_jpeg(image, 85))
    return files


# Bad answers --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """An address, what answers there, and what should become of it."""

    name: str
    route: Callable[[WebServer, bytes], Route]
    """Makes the route of /picture.jpg, of the server and a picture."""
    kept: bool = False
    """Whether something should be kept."""
    asked_most: int = 4
    """How often its server should be asked for it, three retries included."""
    listed: int = 1
    """How often the list names it."""
    robots: str = ""
    leads_away: bool = False
    """Whether it is a redirect to a server at PRIVATE_ADDRESS instead, which has a picture."""


def declared(picture: bytes, length: int) -> Route:
    """Return a route that says of a picture that it is so long."""
    return answer(picture, headers={"Content-Length": str(length)})


def marked(**headers: str) -> Callable[[WebServer, bytes], Route]:
    """Return what makes a route of a good picture with headers more."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda server, picture: answer(picture, headers=named)


def bomb() -> bytes:
    """Return a PNG of 16 000 pixels by 16 000, all of them black: small as a file."""
    file = io.BytesIO()
    Image.new("L", (16_000, 16_000)).save(file, "PNG")
    return file.getvalue()


def zipped_zeros(count: int) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return b"".join(packer.compress(bytes(1_000_000)) for _ in range(count)) + packer.flush()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n"
PAGE = b"<!DOCTYPE html><title>Please sign in</title>"
BUSY = {"Retry-After": "1"}
CASES = (
    Case("a picture", lambda server, picture: answer(picture), kept=True, asked_most=1),
    Case(
        "the same address twice in the list",
        lambda server, picture: answer(picture),
        kept=True,
        asked_most=1,
        listed=2,
    ),
    Case(
        "a page that says it is a picture", lambda s, p: marked(Content_Type="image/jpeg")(s, PAGE)
    ),
    Case(
        "a picture cut in the middle", lambda server, picture: answer(picture[: len(picture) // 2])
    ),
    Case(
        "a body shorter than was said", lambda server, picture: declared(picture, 2 * len(picture))
    ),
    Case(
        "a body longer than was said", lambda server, picture: declared(picture, len(picture) // 2)
    ),
    Case("an endless body", lambda server, picture: server.endless(bytes(65_536), HEAD + picture)),
    Case("a byte a second", lambda server, picture: server.drip(picture, 1.0, HEAD)),
    Case("no byte at all", lambda server, picture: server.silent()),
    Case("a picture of 256 million pixels", lambda server, picture: answer(bomb())),
    Case(
        "a gigabyte, compressed",
        lambda s, p: marked(Content_Encoding="gzip")(s, zipped_zeros(1_000)),
    ),
    Case("a redirect to a private address", lambda server, picture: answer(), leads_away=True),
    Case(
        "a redirect in a circle",
        lambda server, picture: server.redirect("/picture.jpg"),
        asked_most=12,
    ),
    Case("404", lambda server, picture: answer(b"", 404), asked_most=1),
    Case("429, always", lambda server, picture: answer(b"", 429, BUSY)),
    Case("503, always", lambda server, picture: answer(b"", 503, BUSY)),
    Case(
        "503 once, then a picture",
        lambda server, picture: server.in_turn(answer(b"", 503, BUSY), answer(picture)),
        kept=True,
    ),
    Case("X-Robots-Tag: noai", marked(X_Robots_Tag="noai"), asked_most=1),
    Case("tdm-reservation: 1", marked(tdm_reservation="1"), asked_most=1),
    Case(
        "a robots.txt that turns training robots away",
        lambda server, picture: answer(picture),
        asked_most=0,
        robots="User-agent: GPTBot\nDisallow: /\n",
    ),
)
# The cloud's metadata service has such an address; here another server of this machine has it.
PRIVATE_ADDRESS = "127.0.0.99"


def judged(case: Case, fetch: Fetcher) -> dict[str, Any]:
    """Return what a fetcher made of a case, and whether that is as it should be."""
    print(case.name, file=sys.stderr)
    with ExitStack() as stack:
        server, private = WebServer(), WebServer(address=PRIVATE_ADDRESS)
        for running in (server, private):
            stack.callback(running.stop)
        picture = drawn(1)[0]
        private.routes["/picture.jpg"] = answer(picture)
        server.routes["/picture.jpg"] = case.route(server, picture)
        if case.leads_away:
            server.routes["/picture.jpg"] = server.redirect(private.url("/picture.jpg"))
        if case.robots:
            server.routes["/robots.txt"] = answer(case.robots.encode())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        found = fetch([server.url("/picture.jpg")] * case.listed, folder)
        asked, reached = server.requests["/picture.jpg"], private.requests["/picture.jpg"]
    whole = found.ran.status == 0
    return {
        "right": whole and found.kept == case.kept and asked <= case.asked_most and not reached,
        "kept": found.kept,
        "said": found.reasons,
        "asked": asked,
        **({"reached_the_private_server": reached} if case.leads_away else {}),
        "seconds": round(found.ran.wall_s, 1),
        "peak_mb": peak([found.ran]),
    }


if __name__ == "__main__":
    main()
