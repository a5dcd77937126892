"""Files in a folder, for one machine or for several that mount it."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from tempfile import mkstemp
from typing import IO, TypeVar

from switchyard.gateway.files.contract import CHUNK_BYTES, NAME, FileStoreError, NoFileError

_UNFINISHED = ".part"
_UNFINISHED_SECONDS = 86400.0  # after its last write, nobody is writing it any more
T = TypeVar("T")


@contextmanager
def failing_as_store() -> Iterator[None]:
    """Raise ``FileStoreError`` in place of what the system says."""
    try:
        yield
    except FileNotFoundError as err:
        raise NoFileError(f"there is no such file: {err.filename}") from err
    except OSError as err:
        raise FileStoreError(f"the files cannot be read or written: {err}") from err


async def in_thread(run: Callable[[], T]) -> T:
    """Return what ``run`` does with files, in a thread, as a disk may be slow.

    Raises:
        FileStoreError: it failed.
    """
    with failing_as_store():
        return await asyncio.to_thread(run)


class DiskUpload:
    """A file with another name in the same folder until it is whole."""

    def __init__(self, target: Path) -> None:
        self._target = target
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = mkstemp(suffix=_UNFINISHED, dir=target.parent)  # its owner alone can read it
        self.path = Path(name)
        self._file: IO[bytes] = os.fdopen(handle, "wb", buffering=0)

    async def write(self, data: bytes) -> None:
        await in_thread(lambda: _write_all(self._file, data))

    async def commit(self) -> None:
        await in_thread(self._commit)

    def discard(self) -> None:
        self._file.close()
        with suppress(OSError):
            self.path.unlink()

    def _commit(self) -> None:
        os.fsync(self._file.fileno())
        self._file.close()
        self.path.replace(self._target)


class DiskFileStore:
    """Files below ``root``; what others left unfinished there long ago is deleted."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def create(self, name: str) -> DiskUpload:
        path = self._path(name)
        return await in_thread(lambda: DiskUpload(path))

    async def put(self, name: str, data: bytes) -> None:
        upload = await self.create(name)
        try:
            await upload.write(data)
            await upload.commit()
        finally:
            upload.discard()

    async def chunks(self, name: str) -> AsyncIterator[bytes]:
        path = self._path(name)
        file = await in_thread(lambda: path.open("rb"))
        with file:
            while data := await in_thread(lambda: file.read(CHUNK_BYTES)):
                yield data

    @asynccontextmanager
    async def local(self, name: str) -> AsyncIterator[Path]:
        path = self._path(name)
        await in_thread(path.stat)
        yield path

    async def names(self, folder: str) -> list[str]:
        path = self._path(folder)
        return await in_thread(lambda: [f"{folder}/{name}" for name in _listed(path)])

    async def remove(self, names: Sequence[str]) -> None:
        paths = [self._path(name) for name in names]
        await in_thread(lambda: _remove(paths))

    def _path(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a file")
        return self._root / name


def _write_all(file: IO[bytes], data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _listed(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    now, names = time.time(), []
    for entry in os.scandir(folder):
        if not entry.name.endswith(_UNFINISHED):
            names.append(entry.name)
        elif now - entry.stat().st_mtime > _UNFINISHED_SECONDS:
            os.unlink(entry.path)
    return sorted(names)


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
    for folder in {path.parent for path in paths}:
        with suppress(OSError):  # others have files in it
            folder.rmdir()
