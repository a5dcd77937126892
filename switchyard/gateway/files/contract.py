"""Where the bytes of files lie; ``tests/switchyard/gateway/files/test_contract.py`` runs against each place."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

CHUNK_BYTES = 256 * 1024  # of what is read at a time: one buffer of the server's
# Of blobs: a folder and a name that we made, so that no client's text becomes a path.
NAME = re.compile(r"[a-z]{1,16}(/[A-Za-z0-9_-]{1,64}){0,2}")


class FileStoreError(Exception):
    """The place of files does not respond, or is full."""


class NoFileError(FileStoreError):
    """There is no file of this name, as it was deleted."""


class Upload(Protocol):
    """A file that is being written; nobody sees it before ``commit``."""

    async def write(self, data: bytes) -> None:
        """Add to its end."""

    async def commit(self) -> None:
        """Let it appear under its name, in place of one that was there; it survives a crash from here on."""

    def discard(self) -> None:
        """Forget what was written, unless it was committed; may be called again."""


class FileStore(Protocol):
    """Files by name, the same for all processes that share the place.

    All methods raise ``FileStoreError`` when the place does not respond, and ``NoFileError`` for a name without one.
    """

    async def create(self, name: str) -> Upload:
        """Begin a file of any size."""

    async def put(self, name: str, data: bytes) -> None:
        """Write a small file at once, in place of one that was there."""

    def chunks(self, name: str) -> AsyncIterator[bytes]:
        """Yield the content in chunks of ``CHUNK_BYTES``."""

    def local(self, name: str) -> AbstractAsyncContextManager[Path]:
        """Return a path of this machine at which the file can be read meanwhile."""

    async def names(self, folder: str) -> list[str]:
        """Return the names of all files in a folder, in the order of their characters."""

    async def remove(self, names: Sequence[str]) -> None:
        """Delete files; names without one are ignored."""
