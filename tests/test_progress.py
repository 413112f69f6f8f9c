"""Progress in a terminal: real ones, of several widths, as a person sees them."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from occlufer.progress import progress, under_way

LONG = "gather a_source_with_a_name_that_is_longer_than_a_narrow_terminal"
COUNTING = (
    "import time\nfrom occlufer.progress import progress\n"
    "for _ in progress(range(4), {total}, {what!r}): time.sleep(.15)"
)
GATHERING = (
    "from pathlib import Path\nfrom occlufer.builders.gather import gather\n"
    "from occlufer.config import SourceConfig\nfrom occlufer.workspace import open_workspace\n"
    "source = SourceConfig('synthetic', 'drawn', {{'count': {count}}})\n"
    "with open_workspace(Path({folder!r})) as workspace: gather((source,), workspace, 1)"
)
UNDER_WAY = (
    "import logging\nfrom occlufer.progress import LogLines, under_way\n"
    "import sys\nlogging.basicConfig(handlers=[LogLines(sys.stderr)], format='%(message)s')\n"
    "with under_way({what!r}): logging.warning('three are odd')"
)


def shown(code: str, columns: int) -> list[str]:
    """What a program draws on a terminal of that width, one line after the other."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    written = b""
    while True:
        try:
            some = os.read(ours, 10_000)
        except OSError:  # the other side has ended
            break
        if not some:
            break
        written += some
    os.close(ours)
    process.communicate()
    assert process.returncode == 0, written
    return [line for line in re.split(r"[\r\n]+", written.decode()) if line.strip()]


@pytest.mark.parametrize("what", ["faces", LONG], ids=["short", "long"])
@pytest.mark.parametrize("columns", [24, 40, 80, 200])
def test_a_bar_fits_its_terminal_and_tells_how_far_it_is(columns: int, what: str) -> None:
    lines = shown(COUNTING.format(total=4, what=what), columns)
    assert max(map(len, lines)) <= columns
    assert any("2/4" in line for line in lines)
    if columns >= 40:
        assert any(re.search(r" 50%.* \d\d:\d\d left$", line.rstrip()) for line in lines)
    if columns >= 80:
        assert any(re.search(r"[\d.]+/s", line) for line in lines)


@pytest.mark.parametrize("columns", [40, 80])
def test_without_a_total_count_rate_and_time_stay_in_sight(columns: int) -> None:
    lines = shown(COUNTING.format(total=None, what=LONG), columns)
    assert max(map(len, lines)) <= columns
    assert any(re.search(r"\.\.\.\w+ +2, +[\d.]+/s, \d\d:\d\d", line) for line in lines)


def test_gather_tells_how_far_it_is_of_what_is_new(tmp_path: Path) -> None:
    first = shown(GATHERING.format(folder=str(tmp_path), count=40), 80)
    assert first[0] == "  list drawn ..."
    assert any(re.search(r"gather drawn .* \d+/40, .* \d\d:\d\d left$", one) for one in first)
    again = shown(GATHERING.format(folder=str(tmp_path), count=40), 80)
    assert not any("/40" in line for line in again)


def test_what_is_under_way_is_wiped_and_messages_have_lines_of_their_own() -> None:
    first, second, *rest = shown(UNDER_WAY.format(what="dedup"), 80)
    assert first == "  dedup ..."
    assert second == "\x1b[Kthree are odd"
    assert rest == ["\x1b[K"]


def test_a_name_commands_no_terminal() -> None:
    (first, *_) = shown(UNDER_WAY.format(what="a\x1b]0;owned\x07\nb"), 80)
    assert first == "  a\\x1b]0;owned\\x07\\nb ..."
    lines = shown(COUNTING.format(total=2, what="a\x1b[2Jb"), 80)
    assert not any("\x1b[2J" in line for line in lines)


def test_off_a_terminal_nothing_is_drawn(capfd: pytest.CaptureFixture[str]) -> None:
    with under_way("dedup"):
        assert list(progress(range(3), 3, "faces")) == [0, 1, 2]
    assert capfd.readouterr() == ("", "")
