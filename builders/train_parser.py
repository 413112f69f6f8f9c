"""The command `python -m occlufer.builders.train_parser`: trains the built-in parser."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from occlufer.digest import file_sha256
from occlufer.errors import OccluferError

from .parser.built_in import save_weights
from .parser.pasted import read_templates
from .parser.provenance import CURVES_NAME, DATA_NAME, data_lines, draw_curves
from .parser.teacher import read_faces
from .parser.training import LOG_NAME, ParserTraining, train_parser

WEIGHTS_NAME = "weights.safetensors"


def main(argv: list[str] | None = None) -> None:
    """Train by what the command line says; the same command goes on after an interruption."""
    parser = argparse.ArgumentParser(
        prog="python -m occlufer.builders.train_parser", description=f"{__doc__}"
    )
    parser.add_argument("data", type=Path, help="the folder of parser_faces.zip and its meshes")
    parser.add_argument("--out", type=Path, default=Path("runs/parser"), help="what is made")
    parser.add_argument("--steps", type=int, default=ParserTraining.steps)
    parser.add_argument("--workers", type=int, default=ParserTraining.workers)
    parser.add_argument("--device", default=ParserTraining.device)
    parser.add_argument("--seed", type=int, default=ParserTraining.seed)
    parser.add_argument(
        "--float32",
        dest="bfloat16",
        action="store_false",
        help="not in bfloat16, which is slower on processors that do not have it",
    )
    run = ParserTraining(**vars(parser.parse_args(argv)))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        _train(run)
    except OccluferError as error:
        sys.exit(f"train_parser: {error}")


def _train(run: ParserTraining) -> None:
    faces = read_faces(run.data)
    templates = read_templates(run.data, held_out=False)
    run.out.mkdir(parents=True, exist_ok=True)
    with (run.out / DATA_NAME).open("w", encoding="utf-8") as file:
        file.writelines(data_lines(*faces, run.data))
    net = train_parser(run, faces[0], templates)
    weights = run.out / WEIGHTS_NAME
    save_weights(net, weights)
    draw_curves(run.out / LOG_NAME, run.out / CURVES_NAME)
    print(f"{weights}: sha256 {file_sha256(weights)}")


if __name__ == "__main__":
    main()
