"""Pictures: how the server comes to show what lies in the workspace."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from occlufer.errors import MissingError
from occlufer.workspace import Workspace

from .tasks import data_uri, reference

FOLDER = "images"


@dataclass(frozen=True)
class Pictures:
    """Gives the address of an image's crop, by which a browser is shown it."""

    address: Callable[[str], str]
    folder: str | None = None
    """The folder that the server must be let serve; None where tasks hold their pictures."""


def pictures(workspace: Workspace, images: Iterable[str], served: Path | None) -> Pictures:
    """Return where the server finds the crops of `images`.

    The embedded server reads the workspace's image store through a link in the folder `served`;
    without one, or where the images are at an address, tasks carry their pictures.
    """
    values = workspace.catalog.values("faces", images)
    crops = {image: str(value["crop"]) for image, value in values}
    if served is None or workspace.images.folder is None:
        return Pictures(partial(_inline, workspace, crops))
    linked = link_to(workspace.images.folder, served)
    return Pictures(partial(_referenced, workspace, crops), str(linked))


def _inline(workspace: Workspace, crops: dict[str, str], image: str) -> str:
    return data_uri(workspace.images.get(crops[image]))


def _referenced(workspace: Workspace, crops: dict[str, str], image: str) -> str:
    crop = crops[image]
    if not workspace.images.has(crop):
        workspace.images.get(crop)  # which says what is the matter
    return reference(FOLDER, crop)


def link_to(folder: Path, served: Path) -> Path:
    """Return a link to `folder` within the folder `served`, made or mended if need be.

    The server hands out what lies below its document root, but never the root itself.
    """
    # As the server was told it: it compares names, and follows no link to do so.
    link = served.resolve() / FOLDER
    target = folder.resolve()
    if not (link.is_symlink() and link.resolve() == target):
        beside = link.with_name(f"{FOLDER}.{os.getpid()}.part")
        beside.unlink(missing_ok=True)
        try:
            beside.symlink_to(target, target_is_directory=True)
            beside.replace(link)
        except OSError as error:
            raise MissingError(
                f"{link}: found no way to make a link to {target} ({error.strerror}); the embedded "
                "server needs one to show pictures"
            ) from None
    return link
