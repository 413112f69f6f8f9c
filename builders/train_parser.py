"""The command `python -m occlufer.builders.train_parser`: trains the built-in parser."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from .parser.training import ParserTraining, train_parser


def main(argv: list[str] | None = None) -> None:
    """Train by what the command line says; the same command goes on after an interruption."""
    parser = argparse.ArgumentParser(
        prog="python -m occlufer.builders.train_parser", description=f"{__doc__}"
    )
    parser.add_argument("data", type=Path, help="the folder of parser_faces.zip and its meshes")
    parser.add_argument("--out", type=Path, default=Path("runs/parser"), help="checkpoint and log")
    parser.add_argument("--steps", type=int, default=ParserTraining.steps)
    parser.add_argument("--workers", type=int, default=ParserTraining.workers)
    parser.add_argument("--device", default=ParserTraining.device)
    parser.add_argument("--seed", type=int, default=ParserTraining.seed)
    given = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    train_parser(ParserTraining(**vars(given)))


if __name__ == "__main__":
    main()
