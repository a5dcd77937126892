"""Equal files of published contents are one file, on the disk and in the memory of those who read or map it.

``.objects/files/<SHA-256>`` is a name of each large file, by which the next equal one finds it. They are hard links,
which only files may have that nobody writes to again.
"""

import hashlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from switchyard.repository.publishing.objects import sync

FILES = "files"
LEAST_BYTES = 1 << 20  # what smaller ones take is not worth a look; the node's cache has the same bound

logger = logging.getLogger(__name__)


def share(folder: Path, digests: Mapping[str, str], objects: Path) -> None:
    """Replace large files of a copy by published ones with the same content; what cannot be shared stays a copy.

    ``digests`` are SHA-256 in hexadecimal by path.
    """
    known = objects / FILES
    known.mkdir(exist_ok=True)
    for path, digest in digests.items():
        file = folder / path
        if os.lstat(file).st_size < LEAST_BYTES:
            continue
        try:
            _share(file, known / digest, folder.parent / "shared")
        except OSError as err:  # no hard links on this file system, or no more of this file
            logger.info("a published file stays a copy of its own: %s", err)


def forget(objects: Path) -> None:
    """Remove files that no content has any more."""
    known = objects / FILES
    for file in list(known.iterdir()) if known.is_dir() else ():
        if os.lstat(file).st_nlink == 1:
            file.unlink()


def _share(file: Path, known: Path, spare: Path) -> None:
    if known.exists() and _digest(known) != known.name:  # somebody wrote to it
        known.unlink()
    try:
        sync(file)
        os.chmod(file, 0o444)
        os.link(file, known)
    except FileExistsError:
        os.link(known, spare)
        os.replace(spare, file)


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
