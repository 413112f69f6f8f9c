"""The command `occlufer predict`: which expressions a trained model sees in any picture."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any

from occlufer.commands.inspect import add_pictures, look

SUMMARY = "Say which expression the trained baseline sees on faces, and draw what speaks for it"

PAGE = Path("predict.html")


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_pictures(command, PAGE)
    command.add_argument(
        "--run",
        dest="trained",
        type=Path,
        default=Path("runs/baseline"),
        metavar="FOLDER",
        help="a run of baseline-train (default: runs/baseline)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Say what covers each face and which expression it shows, and draw what speaks for it."""
    answers = Answers(
        import_module("occlufer.orsanet.evaluation.telling").teller(arguments.trained)
    )
    look(arguments, PAGE, answers.say, more=answers.panels, title="occlufer: expressions")


class Answers:
    """What the model says of the picture that is looked at, asked once for text and page."""

    def __init__(self, tell: Any) -> None:
        """Take what `teller` gives."""
        self._tell = tell
        self._told: list[Any] = []

    def say(self, one: Any) -> dict[str, Any]:
        """Return what an inspection says of a picture, and the `expression` of every face."""
        from PIL import Image

        said: dict[str, Any] = one.to_json()
        if one.image_rgb is None:
            return said
        picture = Image.fromarray(one.image_rgb)
        self._told = [self._tell(picture, face.parsed.landmarks68_px) for face in one.faces]
        for face, told in zip(said["faces"], self._told, strict=True):
            face["expression"] = {label: round(share, 4) for label, share in told.shares.items()}
        return said

    def panels(self, one: Any, number: int) -> Any:
        """Return the panels of a face of the picture that was said last."""
        draw = import_module("occlufer.builders.inspect_page").expression
        return draw(**vars(self._told[number]))
