"""The command `occlufer baseline-train`: trains ORSANet on a published dataset."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

from occlufer.commands.printing import show
from occlufer.errors import naming

SUMMARY = "Train ORSANet, the reference baseline"

LEARNED = "all that was learned is kept, add --resume to go on"


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    command.add_argument("--data", type=Path, default=Path("occlu_fer"), help="published folder")
    command.add_argument("--out", type=Path, default=Path("runs/baseline"), help="of the run")
    command.add_argument("--preset", default="demo", help="demo (default), released or paper")
    command.add_argument("--device", default="auto", help="auto (default), cpu, cuda, mps")
    command.add_argument("--seed", type=int, default=0, help="of weights and batches")
    command.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    command.add_argument("--size", help="demo, small, base or large, else the preset's")
    command.add_argument("--epochs", type=int, help="else the preset's")
    command.add_argument("--batch-size", type=int, help="over all processes")
    command.add_argument("--precision", help="float32 (default), tf32, bfloat16 or float16")
    command.add_argument("--compile", action="store_true", default=None, help="by torch.compile")
    command.add_argument(
        "--soft-labels", action="store_true", default=None, help="train on the votes' shares"
    )
    for name, what in (
        ("ir50", "weights that the backbone starts from"),
        ("mobilefacenet", "weights of the landmark prior"),
        ("segface", "weights of the semantic prior"),
    ):
        command.add_argument(f"--{name}", type=Path, metavar="FILE", help=what)
    command.add_argument(
        "--frozen", help="cached (default), or in_loop: priors anew in every pass, to compare"
    )
    command.add_argument(
        "--cache-only", action="store_true", help="make OUT/cache, to train on elsewhere, and end"
    )
    command.add_argument("--json", action="store_true", help="end with one JSON object on stdout")


# What of the command line, if given, takes the place of the preset's own.
FIELDS = (
    *("seed", "device", "resume", "size", "epochs", "batch_size", "precision", "compile"),
    *("soft_labels", "ir50", "mobilefacenet", "segface", "frozen"),
)


def run(arguments: argparse.Namespace) -> None:
    """Train, or make the cache alone, and print what came of it."""
    cache_name = import_module("occlufer.orsanet.data").CACHE_NAME
    last_name = import_module("occlufer.orsanet.checkpoint").LAST_NAME
    given = {name: getattr(arguments, name) for name in FIELDS}
    # A cache has its priors, and the machine that trains on it may have torch and numpy alone.
    if arguments.preset != "demo" and not (arguments.data / cache_name).is_file():
        find = import_module("occlufer.builders.weights_by_hand").find_by_hand
        folder = import_module("occlufer.config_file").config_at(None).weights_dir
        for name in ("ir50", "mobilefacenet", "segface"):
            given[name] = given[name] or find(name, folder)
    config = import_module("occlufer.orsanet.config").config_from_preset(
        arguments.preset,
        arguments.data,
        arguments.out,
        **{name: value for name, value in given.items() if value is not None},
    )
    train = import_module("occlufer.orsanet.train")
    if arguments.cache_only:
        with naming(arguments.out):
            cache = train.make_cache(config)
        text = f"{arguments.out / 'cache'}: the cache, with {' and '.join(cache.priors.values())}"
        show(arguments.json, {"key": cache.key, "priors": cache.priors}, text)
        return
    try:
        with naming(arguments.out):
            metrics = train.baseline_train(config).metrics
    except KeyboardInterrupt:
        begun = (arguments.out / last_name).is_file()
        arguments.going_on = LEARNED if begun else "nothing was learned yet"
        raise
    text = (
        f"validation accuracy {metrics['accuracy']:.3f} "
        f"(always guessing the commonest class: {metrics['majority_accuracy']:.3f})\n"
        f"in {arguments.out}: best.pt and its card, README.md; metrics.json, curves.png, "
        "confusion.png"
    )
    if import_module("occlufer.orsanet.processes").is_first():
        show(arguments.json, metrics, text)
