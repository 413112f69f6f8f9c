"""Weights that a person has to fetch: where they are, and whether a file is what it should be."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from occlufer.digest import file_sha256
from occlufer.errors import MissingError, UsageError

from .weights import weights_folder


@dataclass(frozen=True)
class ByHand:
    """One file of weights whose authors ask for a form, a login or a click."""

    files: tuple[str, ...]
    """The names it is looked for by, in the folder of weights."""
    where: str
    """Where its authors publish it."""
    purpose: str
    reader: tuple[str, str]
    """Module and function that read it; it raises for anything else."""


POSTER = "linked from the README of github.com/zczcwh/POSTER"
SEGFACE = "linked from the README of github.com/Kartik-3004/SegFace"
# Their hashes are not pinned: nobody has published them. `verify` reads every tensor instead.
BY_HAND = {
    "ir50": ByHand(
        files=("ir50.pth",),
        where=f"{POSTER}, as ir50.pth",
        purpose="IR-50, from which ORSANet's image backbone starts",
        reader=("occlufer.orsanet.author_checkpoint", "read_ir50"),
    ),
    "mobilefacenet": ByHand(
        files=("mobilefacenet_model_best.pth.tar", "mobilefacenet.pth"),
        where=f"{POSTER}, as mobilefacenet_model_best.pth.tar",
        purpose="MobileFaceNet, ORSANet's landmark prior",
        reader=("occlufer.orsanet.mobilefacenet", "read_mobilefacenet"),
    ),
    "segface": ByHand(
        files=("segface_lapa.pt",),
        where=f"{SEGFACE}, swinb_lapa_224/model_299.pt, to be saved as segface_lapa.pt",
        purpose="SegFace for LaPa with Swin-B at 224 px, ORSANet's semantic prior",
        reader=("occlufer.orsanet.segface", "read_lapa"),
    ),
    "orsanet": ByHand(
        files=("orsanet.pth",),
        where="linked from the README of github.com/Wenyuzhy/ORSANet-master",
        purpose="a whole ORSANet of its authors",
        reader=("occlufer.orsanet.author_checkpoint", "load_any_classes"),
    ),
}


def find_by_hand(name: str, weights_dir: Path | None) -> Path | None:
    """Return where the weights lie, None if they are not there."""
    folder = weights_folder(weights_dir)
    if folder is None:
        return None
    return next((folder / n for n in BY_HAND[name].files if (folder / n).is_file()), None)


def how_to_get(name: str, weights_dir: Path | None) -> str:
    """Return what a person has to do to have the weights."""
    one, folder = BY_HAND[name], weights_folder(weights_dir)
    place = one.files[0] if folder is None else folder / one.files[0]
    return f"fetch it yourself, {one.where}, and put it at {place}"


def verified(name: str, weights_dir: Path | None) -> tuple[Path, str]:
    """Return where the weights lie and their sha256, after every tensor was read and held to ours.

    Raises MissingError if they are not there, UsageError if they are other weights.
    """
    if name not in BY_HAND:
        raise UsageError(f"weights: found {name!r}, expected one of {', '.join(BY_HAND)}")
    path = find_by_hand(name, weights_dir)
    if path is None:
        raise MissingError(f"{name}: found nothing; {how_to_get(name, weights_dir)}")
    module, function = BY_HAND[name].reader
    getattr(import_module(module), function)(path)
    return path, file_sha256(path)
