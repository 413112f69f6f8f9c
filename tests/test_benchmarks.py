"""The benchmarks measure what they say: each is run, growth is a power, a missed bar is shown."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def benchmark(name: str) -> ModuleType:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def growth() -> ModuleType:
    return benchmark("_growth")


def test_make_bench_runs_every_benchmark_or_says_why_not() -> None:
    suite = benchmark("_suite")
    scripts = {path.stem for path in BENCHMARKS.glob("[a-z]*.py")}
    assert suite.SCRIPTS.keys() | suite.LEFT_OUT.keys() == scripts
    assert not suite.SCRIPTS.keys() & suite.LEFT_OUT.keys()
    assert all(len(reason) > 20 for reason in suite.LEFT_OUT.values())


@given(st.floats(0.2, 2), st.floats(0.6, 60))
def test_a_time_that_grows_as_a_power_has_that_exponent(power: float, first_s: float) -> None:
    seconds = {size: first_s * (size / 100) ** power for size in (100, 300, 1000, 5000)}
    found = benchmark("_growth").exponent(seconds, 0.5)
    assert found == pytest.approx(power, abs=0.001)


def test_sizes_before_a_stage_takes_half_a_second_do_not_count(growth: ModuleType) -> None:
    flat = {1: {"a": 0.4, "b": 0.1}, 10: {"a": 0.5, "b": 0.2}, 100: {"a": 5.0, "b": 0.3}}
    assert growth.exponents(flat) == {"a": 1.0, "b": None}


def test_a_stage_that_only_the_largest_size_has_long_enough_has_no_exponent(
    growth: ModuleType,
) -> None:
    assert growth.exponents({1: {"a": 0.1}, 10: {"a": 0.9}}) == {"a": None}


def test_a_missed_bar_and_a_benchmark_that_failed_are_in_the_table() -> None:
    suite = benchmark("_suite")
    bar: dict[str, Any] = {"what": "x, times as fast as y", "value": 0.5, "bound": ">= 1"}
    found = {
        "one": {"minutes": 1.0, "bars": [{**bar, "holds": False}]},
        "two": {"minutes": 2.0, "bars": [], "failed": "status 1: no room"},
    }
    text = suite.summary(found)
    assert "| one | x, times as fast as y | 0.5 | >= 1 | missed |" in text
    assert "| two | 2.0 | status 1: no room |" in text
    assert not any(suite.holds(one) for one in found.values())


def test_the_peak_of_a_command_is_its_own_and_that_of_what_it_starts(tmp_path: Path) -> None:
    large = b"x" * 300_000_000  # this process is larger than what it starts
    environment = benchmark("_environment")
    small = environment.measured([sys.executable, "-c", "print('said')"], tmp_path)
    assert (small.status, small.out) == (0, "said\n")
    assert small.peak_mb < 100
    inner = "bytearray(b'x' * 200_000_000)"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    assert environment.measured([sys.executable, "-c", outer], tmp_path).peak_mb > 190
    assert len(large) == 300_000_000


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks Linux who is still there")
def test_a_command_is_stopped_at_its_limit_with_all_it_has_started(tmp_path: Path) -> None:
    inner = "import time; time.sleep(600)"
    outer = (
        "import pathlib, subprocess, sys; "
        f"child = subprocess.Popen([sys.executable, '-c', {inner!r}]); "
        "pathlib.Path('child').write_text(str(child.pid)); child.wait()"
    )
    ran = benchmark("_environment").measured([sys.executable, "-c", outer], tmp_path, limit_s=5)
    assert (ran.status, ran.peak_mb) == (None, None)
    stat = Path(f"/proc/{(tmp_path / 'child').read_text()}/stat")
    for _ in range(1000):  # a kill takes a moment to arrive
        if not stat.exists() or " Z " in stat.read_text():
            return
        time.sleep(0.01)
    pytest.fail(f"still there: {stat.read_text()}")


def test_a_peer_that_pip_cannot_install_is_missing_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = benchmark("_environment")
    monkeypatch.setattr(environment, "CACHE", tmp_path)
    monkeypatch.setitem(environment.PINS, "peer", str(tmp_path / "no such wheel.whl"))
    with pytest.raises(environment.MissingPeerError, match=r"pip install .*no such wheel"):
        environment.python_of("peer")


def test_sizes_count_a_function_from_its_def_with_those_inside_it() -> None:
    sizes = benchmark("sizes")
    text = "import a\n\n\n@a.b\ndef outer():\n    def inner():\n        pass\n\n    return inner\n"
    assert sorted(sizes.function_lines(text)) == [2, 5]
    assert sizes.row([text, "x = 1\n"])["modules"] == {
        **{"count": 2, "median": 5.0, "p90": 9, "max": 9},
        "over 400": 0,
    }
    assert sizes.spread([*range(1, 11)]) == {"count": 10, "median": 5.5, "p90": 9, "max": 10}
    names = ["pkg/a.py", "pkg/tests/test_a.py", "pkg/data.json"]
    assert [name for name in names if sizes.is_code(name)] == ["pkg/a.py"]


# Those that take seconds where little is asked of them.
RUN = {
    "catalog": ("200", "400"),
    "publishing": ("40",),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RUN)
def test_a_benchmark_runs_at_a_small_size_and_prints_its_bars(name: str, tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), *RUN[name], "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=900)
    assert done.returncode in (0, 1), done.stderr  # 1: a bar is missed, as it may be here
    assert "Traceback" not in done.stderr
    found = json.loads(done.stdout)
    assert found["name"] == name
    assert found["bars"]
