"""Where a fetched folder came from, kept in it: a hidden file, which is no part of the model."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from switchyard.repository.sources.listing import revision_of
from switchyard.repository.sources.remote import Remote

_FILE = ".source.json"
_LARGEST = 16_384  # bytes; an address and two digests


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """The address, its revision, and a digest of the files that were listed there."""

    uri: str
    revision: str
    listing: str

    @staticmethod
    def of(remote: Remote) -> "Origin":
        return Origin(uri=remote.uri, revision=remote.revision, listing=revision_of(remote.files))

    @staticmethod
    def read(folder: Path) -> "Origin | None":
        """Return the origin of ``folder``; None where it was not fetched, or is not there."""
        try:
            handle = os.open(folder / _FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(handle, "rb") as file:
                return Origin(**json.loads(file.read(_LARGEST)))
        except (OSError, ValueError, TypeError):
            return None

    @staticmethod
    def forget(folder: Path) -> None:
        """Leave no origin in ``folder``."""
        (folder / _FILE).unlink(missing_ok=True)

    def write(self, folder: Path) -> None:
        """Write it into ``folder``, whole or not at all."""
        staged = folder / f"{_FILE}.new"
        staged.write_text(json.dumps(asdict(self)))
        os.replace(staged, folder / _FILE)
