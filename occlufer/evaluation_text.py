"""What an evaluation found, in lines for the terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from occlufer.terminal import plain

# Means over classes, which slices of one class have not.
MEANS = ("balanced_accuracy", "macro_f1")
NAME_WIDTH = 30
HEAD = f"{'':{NAME_WIDTH}} samples  groups  accuracy  95 %            balanced  macro F1"
GAINS = f"{'':{NAME_WIDTH}}  accuracy  95 %            gain  95 %"


def table(found: dict[str, Any]) -> str:
    """Return the scores of every slice as lines, in percent, with the interval of the accuracy."""
    lines = [
        f"{found['model']} on {found['samples']} samples of {found['data']['config']}, "
        f"{found['data']['split']}; faces not found: {found['not_found']}, counted as errors",
        HEAD,
    ]
    lines += [_line(name, one) for name, one in found["slices"].items()]
    whole = found["slices"]["all"]
    if found["not_found"]:
        lines.append(f"of the faces that were found: {_percent(whole['accuracy_of_found'])}")
    if found["calibration_error"] is not None:
        lines.append(f"calibration error: {100 * found['calibration_error']:.1f}")
    return "\n".join(map(plain, [*lines, *_comparison(found.get("comparison"))]))


def _line(name: str, one: dict[str, Any]) -> str:
    accuracy = one["accuracy"]
    span = _span(accuracy, "5.1f")
    rest = "".join(f"  {_percent(one[name]):>8}" for name in MEANS if name in one)
    counts = f"{one['samples']:7d} {one['groups']:>7}"
    return f"{name:{NAME_WIDTH}} {counts}  {_percent(accuracy):>8}  {span:14}{rest}".rstrip()


def _span(score: dict[str, Any], digits: str) -> str:
    """Return where a score lies with 95 % confidence, in percent; "-" if that cannot be said."""
    low, high = 100 * score["low"], 100 * score["high"]
    return "-" if low != low else f"{low:{digits}} to {high:{digits}}"


def _percent(score: dict[str, Any]) -> str:
    return f"{100 * score['value']:.1f}"


def _comparison(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return []
    test = found["mcnemar"]
    lines = [
        f"beside {found['other']}: {test['only_first']} samples right with {found['model']} alone, "
        f"{test['only_second']} with {found['other']} alone; McNemar's p = {test['p_value']:.3g}",
        f"{'':{NAME_WIDTH}} samples  better by  95 %",
    ]
    for name, one in found["slices"].items():
        gain = one["accuracy"]
        line = f"{name:{NAME_WIDTH}} {one['samples']:7d}  {100 * gain['value']:+9.1f}"
        lines.append(f"{line}  {_span(gain, '+.1f')}")
    return lines


# Tables of the paper ------------------------------------------------------------------------------


def table_of_paper(told: dict[str, Any]) -> str:
    """Return a table of the paper as lines, its footnote below."""
    return "\n".join(map(plain, [*TABLES[told["table"]](told), told["footnote"]]))


def _table_3(told: dict[str, Any]) -> list[str]:
    data = told["data"]
    head = (
        f"Table 3: {told['model']} on {told['samples']} samples of {data['config']}, "
        f"{data['split']}, covered by what is drawn"
    )
    return [head, GAINS, *(_change(name, one) for name, one in told["rows"].items())]


def _change(name: str, one: dict[str, Any]) -> str:
    accuracy, gain = one["accuracy"], one.get("gain")
    line = f"{name:{NAME_WIDTH}}  {_percent(accuracy):>8}  {_span(accuracy, '5.1f'):14}"
    if gain is not None:
        line += f"{100 * gain['value']:+6.1f}  {_span(gain, '+.1f')}"
    return line.rstrip()


def _table_4(told: dict[str, Any]) -> list[str]:
    absent = "-"
    return [f"Table 4: {told['model']}", HEAD] + [
        f"{name:{NAME_WIDTH}} {absent:>7}" if one is None else _line(name, one)
        for name, one in told["rows"].items()
    ]


def _table_5(told: dict[str, Any]) -> list[str]:
    head = "Table 5".ljust(24) + "".join(f"{name:>16}" for name in told["columns"])
    return [head] + [
        f"{name:24}" + "".join(f"{_digits(value):>16}" for value in values)
        for name, values in told["rows"].items()
    ]


def _digits(value: Any) -> str:
    """Return a measured figure in hundredths; what is published comes as text, as it stands."""
    return value if isinstance(value, str) else f"{value:.2f}"


def _variants(told: dict[str, Any]) -> list[str]:
    head = (
        f"Table {told['table']}: trained by the preset {told['preset']}, {told['epochs']} epochs, "
        f"{told['seeds']} seeds"
    )
    lines = []
    for name, one in told["rows"].items():
        shares = ", ".join(f"{100 * share:.1f}" for share in one["by_seed"])
        lines += [_change(name, one), f"{'  by seed':{NAME_WIDTH}}  {shares}"]
    return [head, GAINS, *lines]


TABLES: dict[int, Callable[[dict[str, Any]], list[str]]] = {
    2: _variants,
    3: _table_3,
    4: _table_4,
    5: _table_5,
    6: _variants,
}
