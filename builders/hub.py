"""The Hub: a copy of a published folder without what must not be passed on, and its upload."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from occlufer.digest import file_sha256
from occlufer.errors import GateError, MissingError, OccluferError, UsageError, one_line
from occlufer.lock import INDEX, LOCK_NAME, Lock, check_published, write_lock

from .published.lock_file import is_within
from .published.schema import check_columns
from .published.shards import DamagedShardError, batches, read_schema, shards_of
from .publishing.columns import PIXELS
from .publishing.documents import DOCUMENTS, write_documents
from .publishing.shards import write_rows
from .tombstones import TAKEDOWN_NAME, read_tombstones
from .verify.verify import verify

log = logging.getLogger(__name__)
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
PUBLISHABLE = "publishable"
# What a former version left in the repository: shards of which this one has fewer, tombstones.
STALE = ("*.parquet", TAKEDOWN_NAME, "missing.csv")
LOGIN = "run `hf auth login`, or set HF_TOKEN to a token that may write"
AGAIN = "what was uploaded is kept, run the same command to go on"


@dataclass(frozen=True)
class PublicCopy:
    """A folder that may be uploaded."""

    folder: Path
    lock: Lock
    with_pixels: int
    without_pixels: int
    """Rows of all configs but the index, which has none."""

    def to_json(self) -> dict[str, Any]:
        """Return what is in it, as JSON has it."""
        return {
            "folder": str(self.folder),
            "version": self.lock.version,
            "files": len(self.lock.files),
            "bytes": sum(self.lock.sizes.values()),
            "rows_with_pixels": self.with_pixels,
            "rows_without_pixels": self.without_pixels,
        }


def publish_folder(
    folder: Path, repo_id: str, public: bool, dry_run: bool, takedown: Path | None = None
) -> dict[str, Any]:
    """Upload what of a published folder may be passed on, and return what that was, and where.

    `takedown` is the file of tombstones that the folder must have been built with, as is the one
    beside it. With `dry_run` the copy is made and nothing is sent; else it goes once it is sent.
    Raises UsageError for a name that is none or a repository that is public without `public` being
    said, MissingError without a dataset or a token, GateError if the folder is not what its lock
    says, if `occlufer verify` finds a fault in the copy, or if something was taken down since it
    was built, here or on the Hub.
    """
    if not REPOSITORY.fullmatch(repo_id):
        raise UsageError(f"--repo-id: found {repo_id!r}, expected ORG/NAME")
    check_published(folder)
    for path in (takedown, folder.resolve().with_name(TAKEDOWN_NAME)):
        if path is not None:
            _check_taken_down(folder, path)
    copy = public_copy(folder)
    _check_sound(copy)
    told = {"repo_id": repo_id, "public": public, "url": None, **copy.to_json()}
    if dry_run:
        return told
    url = upload(copy, repo_id, public)
    shutil.rmtree(copy.folder)  # it would outlive pictures that are withdrawn later
    return told | {"url": url, "folder": None}


def _check_taken_down(folder: Path, takedown: Path) -> None:
    """Raise GateError if something was taken down since the folder was built."""
    known = read_tombstones(folder / TAKEDOWN_NAME)
    new = len(known.missing(one.bare() for one in read_tombstones(takedown).stones))
    if new:
        raise GateError(
            f"{folder}: was built without {new} tombstones of {takedown}, so that what was taken "
            "down may be in it; build again before you publish"
        )


def _check_sound(copy: PublicCopy) -> None:
    """Raise GateError if the copy does not verify; it stays, to be looked at."""
    faults = verify(copy.folder).faults
    if faults:
        raise GateError(
            f"{copy.folder}: found {len(faults)} faults, expected none; the first: "
            f"{faults[0].line()}; `occlufer verify` names them"
        )


# The copy -----------------------------------------------------------------------------------------


def public_copy(folder: Path) -> PublicCopy:
    """Write the copy beside the folder, as `.NAME.hub`; the same bytes for the same folder.

    Rows whose rights are another than publishable keep everything but their pixels.
    """
    folder = folder.resolve()
    lock = _checked_lock(folder)
    shards = _shards_with_pixels(lock)
    place = folder.with_name(f".{folder.name}.hub")
    shutil.rmtree(place, ignore_errors=True)
    for name in lock.files:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        if name in shards:
            _write_without(folder / name, place / name, shards[name])
        else:
            shutil.copyfile(folder / name, place / name)
    lock = dataclasses.replace(
        lock,
        pixels=PUBLISHABLE,
        files={name: file_sha256(place / name) for name in lock.files},
        sizes={name: (place / name).stat().st_size for name in lock.files},
    )
    write_lock(place, lock)
    write_documents(place, lock)
    return PublicCopy(place, lock, *_counted(place, shards))


def _checked_lock(folder: Path) -> Lock:
    """Return the lock; raises unless every file is the one that it names."""
    check_published(folder)
    try:
        lock = Lock.from_text((folder / LOCK_NAME).read_text(encoding="utf-8"))
    except ValueError:
        raise GateError(
            f"{folder / LOCK_NAME}: found no lock that can be read; build again"
        ) from None
    for name, sha256 in lock.files.items():
        path = folder / name
        if not is_within(name) or not path.resolve().is_relative_to(folder):
            raise GateError(f"{LOCK_NAME}: found the file {name!r}, expected it in the folder")
        if not path.is_file() or file_sha256(path) != sha256:
            raise GateError(f"{path}: found another file than {LOCK_NAME} names; build again")
    return lock


def _shards_with_pixels(lock: Lock) -> dict[str, str]:
    """Return {shard: its config} of all but the index; raises GateError if the lock is at odds."""
    shards, wrong = shards_of(lock)
    if wrong:
        raise GateError(f"{wrong[0].line()}; build again")
    return {shard.name: shard.config for shard in shards if shard.config != INDEX}


def _write_without(source: Path, target: Path, config: str) -> None:
    """Write the shard anew, less the pixels that must not be passed on."""
    with _readable(source):
        check_columns(source, config)
        found = chain.from_iterable(batches(source))
        rows = (row if row["rights"] == PUBLISHABLE else row | {PIXELS: None} for row in found)
        write_rows(target, read_schema(source), rows)


def _counted(place: Path, shards: Iterable[str]) -> tuple[int, int]:
    """Return how many rows have pixels, and how many have none, as the files say.

    They are read once more: no mistake in writing them may pass pixels on.
    """
    counts = [0, 0]
    for name in shards:
        with _readable(place / name):
            for row in chain.from_iterable(batches(place / name, [PIXELS, "rights"])):
                if (row[PIXELS] is not None) != (row["rights"] == PUBLISHABLE):
                    raise GateError(f"{place / name}: found pixels of {row['rights']} rows wrong")
                counts[row[PIXELS] is None] += 1
    return counts[0], counts[1]


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raise GateError if the block finds that a shard cannot be read to its end."""
    try:
        yield
    except DamagedShardError as error:
        raise GateError(
            f"{path}: found no shard that can be read ({error}), expected one; build again"
        ) from None


# The upload ---------------------------------------------------------------------------------------


def upload(copy: PublicCopy, repo_id: str, public: bool) -> str:
    """Upload the copy in one commit, tagged with its version, and return the address.

    The repository is made private, and public at the very end only, once it is complete and gated.
    What the Hub has already is not sent again, so that an upload that broke off goes on.
    """
    from huggingface_hub.errors import (
        HfHubHTTPError,
        LocalTokenNotFoundError,
        OfflineModeIsEnabled,
    )

    try:
        return _upload(copy, repo_id, public)
    except LocalTokenNotFoundError:
        raise MissingError(f"the Hub: found no token; {LOGIN}") from None
    except OfflineModeIsEnabled:
        raise UsageError("HF_HUB_OFFLINE: found it set, expected a way to the Hub") from None
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        if status == 401:
            raise MissingError(f"the Hub: refused the token, if there was one; {LOGIN}") from None
        if status in (403, 404):
            raise UsageError(f"{repo_id}: the Hub refused ({status}): {one_line(error)}") from None
        raise OccluferError(f"{repo_id}: the Hub failed ({one_line(error)}); {AGAIN}") from None
    except OccluferError:
        raise
    except Exception as error:  # by its version the client speaks through one library or another
        why = f" ({one_line(error.__cause__)})" if error.__cause__ else ""
        raise OccluferError(
            f"{repo_id}: the upload failed: {one_line(error)}{why}; {AGAIN}"
        ) from None


def _upload(copy: PublicCopy, repo_id: str, public: bool) -> str:
    from huggingface_hub import HfApi

    api = HfApi()
    api.create_repo(repo_id, repo_type="dataset", private=True, exist_ok=True)
    info = api.dataset_info(repo_id)
    if not info.private and not public:
        raise UsageError(f"{repo_id}: is public; say --public, or make it private first")
    if not info.gated:  # an owner's own choice of who lets people in stays
        api.update_repo_settings(repo_id, repo_type="dataset", gated="manual")
    _check_remembered(api, copy, repo_id)
    version = copy.lock.version
    commit = api.upload_folder(
        repo_id=repo_id,
        repo_type="dataset",
        folder_path=copy.folder,
        commit_message=f"Version {version}",
        allow_patterns=[*copy.lock.files, LOCK_NAME, *DOCUMENTS],
        delete_patterns=[*STALE],
    )
    _move_tag(api, repo_id, version, getattr(commit, "oid", None))
    if public and info.private:
        api.update_repo_settings(repo_id, repo_type="dataset", private=False)
    return f"{api.endpoint}/datasets/{repo_id}"


def _check_remembered(api: Any, copy: PublicCopy, repo_id: str) -> None:
    """Raise GateError if a tombstone of the repository is not in the copy: it would be lost."""
    from huggingface_hub.errors import EntryNotFoundError

    with tempfile.TemporaryDirectory() as place:
        try:
            # From the repository alone: what a cache holds may lack what was taken down since.
            path = api.hf_hub_download(
                repo_id, TAKEDOWN_NAME, repo_type="dataset", local_dir=place, force_download=True
            )
        except EntryNotFoundError:
            return
        theirs = read_tombstones(Path(path)).stones
    lost = len(read_tombstones(copy.folder / TAKEDOWN_NAME).missing(theirs))
    if lost:
        raise GateError(
            f"{repo_id}: found {lost} tombstones in its {TAKEDOWN_NAME} that the folder was built "
            f"without, so that what was taken down would come back; add these lines to your own "
            f"{TAKEDOWN_NAME} and build again"
        )


def _move_tag(api: Any, repo_id: str, version: str, revision: str | None) -> None:
    """Tag the commit with its version: what was mended beside the index has the former's tag."""
    from huggingface_hub.errors import HfHubHTTPError

    try:
        api.delete_tag(repo_id, tag=version, repo_type="dataset")
    except HfHubHTTPError as error:
        if error.response is None or error.response.status_code != 404:
            raise
    api.create_tag(repo_id, tag=version, revision=revision, repo_type="dataset", exist_ok=True)
