"""The files of all tenants: their records in the store, their bytes in a file store."""

import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from switchyard.gateway.files.contract import FileStore, Upload
from switchyard.gateway.files.stored_file import StoredFile, decode, encode
from switchyard.store.contract import StoreError
from switchyard.store.records.cached import CachedRecords
from switchyard.store.records.contract import Records

COLLECTION = "files"
DAY = 86400
KEPT_SECONDS = 30 * DAY  # of a file that says nothing else, as OpenAI keeps those of batches
# Every gateway knows the records of all, some 400 bytes each.
MOST_FILES = 1000
UPLOADS = 16  # at a time: each has a buffer of the server's, and of S3 a part of 5 MiB in memory


class TooManyFilesError(Exception):
    """A tenant has as many files, or bytes in them, as it may."""


class NewFile:
    """A file that arrives: what of it is allowed, and where it goes."""

    def __init__(self, upload: Upload, most: int) -> None:
        self._upload = upload
        self._most = most
        self.size = 0

    async def write(self, data: bytes) -> None:
        """Add to its end.

        Raises:
            TooManyFilesError: it is longer than there is room for.
        """
        self.size += len(data)
        if self.size > self._most:
            raise TooManyFilesError(f"the file is longer than {self._most} bytes; send less, or delete files")
        await self._upload.write(data)

    async def commit(self) -> None:
        """Let its bytes lie under its name."""
        await self._upload.commit()


@dataclass(frozen=True, kw_only=True, slots=True)
class FileLimits:
    """The bytes of the longest file, and of all files of a tenant."""

    file_bytes: int
    tenant_bytes: int


class StoredFiles:
    """Files by their ids; nobody finds those of another tenant. ``now`` returns seconds since 1970.

    Methods that are awaited raise ``StoreError`` or ``FileStoreError`` when a part does not respond.
    """

    def __init__(
        self, records: Records, blobs: FileStore, limits: FileLimits, *, now: Callable[[], float] = time.time
    ) -> None:
        self.blobs = blobs
        self.uploads = 0
        self._known = CachedRecords(records, COLLECTION, decode)
        self._limits = limits
        self._now = now
        self._unknown: set[str] = set()

    async def refresh(self) -> None:
        """Read what has changed."""
        await self._known.refresh()

    def get(self, tenant: str, file_id: str) -> StoredFile | None:
        """Return a file of the tenant, None if it has none of this id."""
        found = self._known.get(file_id)
        file = None if found is None else found[0]
        return file if file is not None and file.tenant == tenant and file.ends > self._now() else None

    def listed(self, tenant: str) -> list[StoredFile]:
        """Return the tenant's files, the oldest first."""
        now = self._now()
        files = [file for file, _ in self._known if file.tenant == tenant and file.ends > now]
        return sorted(files, key=lambda file: (file.created, file.id))

    @asynccontextmanager
    async def receiving(self, tenant: str, file_id: str) -> AsyncIterator[NewFile]:
        """Take a new file's bytes; what is not committed in the block is forgotten.

        Raises:
            TooManyFilesError: the tenant has as many files as it may.
        """
        await self.refresh()
        files = self.listed(tenant)
        left = self._limits.tenant_bytes - sum(file.size for file in files)
        if len(files) >= MOST_FILES or left <= 0:
            used = self._limits.tenant_bytes - left
            raise TooManyFilesError(f"there are {len(files)} files with {used} bytes, as many as may be; delete some")
        upload = await self.blobs.create(f"files/{file_id}")
        self.uploads += 1
        try:
            yield NewFile(upload, min(left, self._limits.file_bytes))
        finally:
            self.uploads -= 1
            upload.discard()

    async def add(self, file: StoredFile) -> None:
        """Write down a file whose bytes are in place."""
        if not await self._known.put(file.id, encode(file), expected=0):
            raise StoreError(f"there is a file {file.id}")

    async def delete(self, file: StoredFile) -> None:
        """Forget a file: first that it is there, so that nobody finds one without its bytes."""
        await self._known.remove([file.id])
        await self.blobs.remove([file.blob])

    async def forget_ended(self) -> None:
        """Delete the files whose time is over, and bytes that had no record the last time either."""
        await self.refresh()
        now = self._now()
        for file in [file for file, _ in self._known if file.ends <= now]:
            await self.delete(file)
        unknown = set(await self.blobs.names("files")) - {file.blob for file, _ in self._known}
        await self.blobs.remove(sorted(unknown & self._unknown))
        self._unknown = unknown


def new_file_id() -> str:
    """Return an id that nobody guesses."""
    return f"file-{secrets.token_hex(16)}"
