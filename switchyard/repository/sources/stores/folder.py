"""A folder of this machine, or below a claim that is mounted here."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from switchyard.repository.names import quoted
from switchyard.repository.sources.listing import LIMITS, Limits, bounded, revision_of
from switchyard.repository.sources.remote import Checksum, Remote, RemoteFile, SourceChangedError, SourceError

_CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderSource:
    """The folder at ``root``; names that begin with a dot are not part of a model. ``uri`` is how it was asked for."""

    root: Path
    uri: str
    follows: bool = True
    limits: Limits = LIMITS

    def resolve(self) -> Remote:
        """List the folder; a change of size or time of modification is another revision.

        Raises:
            SourceError: it cannot be read, or holds links or devices.
        """
        if not self.root.is_dir():
            raise SourceError(f"{self.uri} is no folder that this process can see")
        try:
            files = bounded(self.uri, self._walk(self.root), self.limits)
        except OSError as err:
            raise SourceError(f"{self.uri} cannot be listed: {err.strerror}", transient=True) from None
        return Remote(uri=self.uri, revision=revision_of(files), files=files)

    def read(self, file: RemoteFile, start: int) -> Iterator[bytes]:
        """Yield the file's bytes; a change of it while it is read is an error.

        Raises:
            SourceChangedError: it was changed since it was listed.
            SourceError: it cannot be read.
        """
        try:
            # Without O_NOFOLLOW a link that was put in its place since would be followed out of the folder.
            handle = os.open(file.key, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(handle, "rb") as content:
                content.seek(start)
                while chunk := content.read(_CHUNK):
                    yield chunk
                found = _etag(os.fstat(handle))
        except OSError as err:
            raise SourceError(f"{self.uri}: {quoted(file.path)} cannot be read: {err.strerror}") from None
        if found != file.etag:
            raise SourceChangedError(f"{self.uri}: {quoted(file.path)} was changed while it was copied")

    def checksum(self, file: RemoteFile) -> Checksum | None:
        """Return None: a folder tells no checksums."""
        return None

    def _walk(self, folder: Path) -> Iterator[RemoteFile]:
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                path = Path(entry.path).relative_to(self.root).as_posix()
                if entry.name.startswith("."):
                    continue
                found = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    yield from self._walk(Path(entry.path))
                elif stat.S_ISREG(found.st_mode):
                    yield RemoteFile(path=path, key=entry.path, size=found.st_size, etag=_etag(found))
                else:
                    raise SourceError(
                        f"{self.uri} has {quoted(path)}, which is no regular file: copy what it points to"
                    )


def _etag(found: os.stat_result) -> str:
    return f"{found.st_size}-{found.st_mtime_ns}-{found.st_ino}"
