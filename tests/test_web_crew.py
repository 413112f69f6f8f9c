import threading
import time

import pytest

from occlufer.builders.web.crew import work


def test_every_address_is_worked_on_once_and_in_the_order_of_its_host() -> None:
    hosts = {f"h{i}": [f"h{i}/{n}" for n in range(i + 1)] for i in range(40)}
    seen: list[str] = []
    assert sorted(work(hosts, seen.append)) == sorted(
        url for urls in hosts.values() for url in urls
    )
    assert sorted(seen) == sorted(url for urls in hosts.values() for url in urls)
    for urls in hosts.values():
        assert [url for url in seen if url in urls] == urls


def test_hosts_are_visited_side_by_side_but_each_by_one_thread() -> None:
    at: dict[str, int] = {}
    most: list[int] = []
    lock = threading.Lock()

    def visit(url: str) -> None:
        host = url.split("/")[0]
        with lock:
            at[host] = at.get(host, 0) + 1
            assert at[host] == 1
            most.append(sum(at.values()))
        time.sleep(0.01)
        with lock:
            at[host] -= 1

    list(work({f"h{i}": [f"h{i}/{n}" for n in range(5)] for i in range(8)}, visit))
    assert max(most) > 1


def test_what_a_visit_raises_reaches_the_caller() -> None:
    def visit(url: str) -> None:
        if url == "b/1":
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        list(work({"a": ["a/0"], "b": ["b/0", "b/1", "b/2"]}, visit))


def test_nothing_new_is_begun_once_the_caller_has_stopped() -> None:
    seen: list[str] = []

    def visit(url: str) -> None:
        time.sleep(0.01)
        seen.append(url)

    results = work({"a": [f"a/{n}" for n in range(1000)]}, visit)
    next(results)
    results.close()
    time.sleep(0.1)
    assert len(seen) < 20


def test_no_host_is_no_work() -> None:
    assert list(work({}, lambda url: None)) == []
