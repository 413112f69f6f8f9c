"""The command `occlufer evaluate`: how well a model tells expressions, by what covers the face."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from occlufer.commands.numbers import whole_number
from occlufer.errors import UsageError
from occlufer.evaluation import ROOM, Place, data_of, evaluate, figures_text, write_figures
from occlufer.evaluation_text import table, table_of_paper
from occlufer.loading import read_lock

SUMMARY = "Say how well a model tells expressions, by what covers the face"

DEFAULT, VALIDATION, SUBSET_SPLIT = "default", "validation", "test"
GO_ON = "the trainings that are done are kept, run the same command to go on"


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    command.add_argument(
        "model",
        nargs="?",
        metavar="MODEL",
        help="a CSV of predictions (id, predicted, or a probability for each class), a run of "
        "baseline-train, an ONNX file, or a function as module:function",
    )
    command.add_argument(
        "--table",
        type=int,
        choices=sorted(TABLES),
        help="a table of the paper: 2, ORSANet trained beside its peers; 3, MODEL on faces with "
        "something drawn before them; 4, MODEL on each set; 5, what ORSANet costs; 6, ORSANet "
        "trained without one of its parts each",
    )
    command.add_argument(
        "--against", metavar="MODEL", help="another, to compare on the same samples"
    )
    command.add_argument("--data", type=Path, default=Path("occlu_fer"), help="published folder")
    command.add_argument("--subset", help="an evaluation subset (default: validation)")
    command.add_argument(
        "--trained-on",
        type=Path,
        metavar="PATH",
        help="the model's training pictures, a folder or a table of `leaks register`: figures "
        "without samples near them are told too",
    )
    command.add_argument("--out", type=Path, default=Path("evaluation"), help="what to write")
    command.add_argument(
        "--seed", type=whole_number, default=0, help="of the bootstrap, and of table 3"
    )
    command.add_argument("--preset", help="of trainings, as of baseline-train")
    command.add_argument("--epochs", type=int, help="of trainings, else the preset's")
    command.add_argument("--seeds", type=int, help="so many trainings of each (default: 3)")
    command.add_argument("--json", action="store_true", help="print the figures as JSON on stdout")
    command.set_defaults(going_on="run the same command again")


def run(arguments: argparse.Namespace) -> None:
    """Evaluate, write what was found, and print it."""
    number = arguments.table
    _refuse_unused(arguments)
    if (arguments.model is not None) == (number in OF_NO_MODEL):
        found = arguments.model or "no MODEL"
        asked = f"--table {number}" if number else "no --table"
        raise UsageError(
            f"evaluate: found {found} and {asked}, expected a MODEL, alone or with --table 3 or 4, "
            "or --table 2, 5 or 6 without it"
        )
    if number is None:
        found = evaluate(
            *(_place(arguments), arguments.model, arguments.out, arguments.seed),
            against=arguments.against,
            trained_on=arguments.trained_on,
        )
        print(figures_text(found) if arguments.json else table(found))
        return
    told = TABLES[number](arguments)
    if number not in UNWRITTEN:
        write_figures(arguments.out, f"table_{number}.json", told)
    print(figures_text(told, indent=None) if arguments.json else table_of_paper(told))


def _refuse_unused(arguments: argparse.Namespace) -> None:
    """Raise UsageError for an option that what is asked for does not take."""
    for name in OPTIONS:
        if getattr(arguments, name) is not None and name not in TAKEN[arguments.table]:
            asked = f"--table {arguments.table}" if arguments.table else "no --table"
            raise UsageError(
                f"--{name.replace('_', '-')}: found it with {asked}, which takes "
                f"{' and '.join(TAKEN[arguments.table]) or 'no such option'}"
            )


def _place(arguments: argparse.Namespace) -> Place:
    if arguments.subset:
        return arguments.data, arguments.subset, SUBSET_SPLIT
    return arguments.data, DEFAULT, VALIDATION


# Tables of the paper ------------------------------------------------------------------------------


def _table_3(arguments: argparse.Namespace) -> Any:
    """Return the model's accuracy under black squares, and under each kind of drawn occluder."""
    robustness = import_module(f"{ROOM}.robustness")
    place = _place(arguments)
    samples = import_module(f"{ROOM}.samples").read_samples(*place)
    model = import_module(f"{ROOM}.models").open_model(arguments.model)
    faces = partial(import_module(f"{ROOM}.faces").read_faces, *place)
    covering = import_module("occlufer.builders.covering")
    covers = {**robustness.SQUARES, **covering.DRAWN}
    told = robustness.table_3(model, samples, faces, covers, covering.finder(), arguments.seed)
    return {**told, "data": data_of(place)}


def _table_5(arguments: argparse.Namespace) -> Any:
    return import_module(f"{ROOM}.costs").table_5()


def _table_4(arguments: argparse.Namespace) -> Any:
    """Return the model's accuracy on our validation and on every evaluation subset there is."""
    sets = import_module(f"{ROOM}.sets")
    model = import_module(f"{ROOM}.models").open_model(arguments.model)
    subsets = read_lock(arguments.data).subsets
    told = sets.table_4(model, arguments.data, subsets, arguments.seed)
    return {**told, "data": data_of(_place(arguments))}


def _table_of_trainings(arguments: argparse.Namespace) -> Any:
    """Train the variants of table 2 or 6 in OUT/trainings, and return their accuracies."""
    trainings = import_module(f"{ROOM}.trainings")
    preset = "demo" if arguments.preset is None else arguments.preset
    seeds = 3 if arguments.seeds is None else arguments.seeds
    if seeds < 1:
        raise UsageError(f"--seeds: found {seeds}, expected 1 or more")
    place = _place(arguments)
    samples = import_module(f"{ROOM}.samples").read_samples(*place)
    arguments.going_on = GO_ON
    budget, out = trainings.Budget(preset, arguments.epochs, seeds), arguments.out / "trainings"
    told = trainings.trained_table(
        arguments.table, arguments.data, out, samples, budget, arguments.seed
    )
    return {**told, "data": data_of(place)}


TABLES: dict[int, Callable[[argparse.Namespace], Any]] = {
    2: _table_of_trainings,
    3: _table_3,
    4: _table_4,
    5: _table_5,
    6: _table_of_trainings,
}
OF_NO_MODEL = (2, 5, 6)
OPTIONS = ("against", "subset", "trained_on", "preset", "epochs", "seeds")
"""What not everything takes; None where it was not given."""
TAKEN: dict[int | None, tuple[str, ...]] = {
    None: ("against", "subset", "trained_on"),
    2: ("preset", "epochs", "seeds"),
    3: ("subset",),
    4: (),
    5: (),
    6: ("preset", "epochs", "seeds"),
}
# What costs nothing to find again.
UNWRITTEN = (5,)
