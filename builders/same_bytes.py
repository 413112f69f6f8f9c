"""Images of the same bytes: what one of them is found to be, all of them are."""

from __future__ import annotations

from collections.abc import Collection

from occlufer.record import CONTENTS, image_key, image_sha256

# More changes than these are not held in memory one by one.
FEW_IMAGES = 10_000


def same_bytes(changed: Collection[str]) -> set[str] | None:
    """Return every image, known or not, of the bytes of those that changed; None if too many."""
    if len(changed) > FEW_IMAGES:
        return None
    touched = {image_sha256(image) for image in changed}
    return {image_key(sha256, content) for sha256 in touched for content in CONTENTS}
