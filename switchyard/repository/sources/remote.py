"""What a source of models is: it lists files under one revision, and reads a file from any byte on."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

Algorithm = Literal["sha256", "sha1", "md5", "crc32", "crc32c", "git-sha1", "md5-parts"]


class SourceError(Exception):
    """A source cannot be used; the message is a sentence that says which, why and what to do, without secrets.

    With ``transient`` the same call may succeed later: the network, a server that is overloaded.
    """

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


class SourceChangedError(SourceError):
    """A file is no longer the one that was listed: list again."""


class StoppedError(SourceError):
    """The fetch was asked to stop; what came so far is kept."""


class NoSpaceError(SourceError):
    """The files do not fit the disk; the message has both numbers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checksum:
    """What a store says of a file's content, in lower-case hex.

    ``md5-parts`` is S3's ETag of an object that was uploaded in parts of ``part_size`` bytes: the MD5 of the parts'
    MD5s. ``git-sha1`` is git's id of a blob.
    """

    algorithm: Algorithm
    value: str
    part_size: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteFile:
    """One file: ``path`` is relative to the model's folder, ``key`` is the source's own name of it.

    ``etag`` changes with the content; ``checksum`` is None where the store does not tell one.
    """

    path: str
    key: str
    size: int
    etag: str = ""
    checksum: Checksum | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Remote:
    """What is at a source now.

    ``revision`` pins it: the hub's commit, the registry's digest, or a SHA-256 over names, sizes and ETags where the
    store has no revisions. Names are as the store has them: ``fetch`` checks them. ``left_out`` are files that are not
    fetched, such as weights in pickles beside safetensors.
    """

    uri: str
    revision: str
    files: tuple[RemoteFile, ...]
    left_out: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


class Source(Protocol):
    """A model, or a whole repository, in a bucket, at the hub, in a registry or in a folder.

    ``uri`` has no credentials, which come from the environment alone. ``follows`` says whether a change at the source
    is taken as it comes; of another source it is an event, and the revision that was taken stays.
    """

    @property
    def uri(self) -> str: ...

    @property
    def follows(self) -> bool: ...

    def resolve(self) -> Remote:
        """List what is there.

        Raises:
            SourceError: it cannot be listed, or has no files, or too many.
        """
        ...

    def read(self, file: RemoteFile, start: int) -> Iterator[bytes]:
        """Yield the content of ``file`` from byte ``start`` on, as it was listed.

        Raises:
            SourceChangedError: it is another content now.
            SourceError: it cannot be read.
        """
        ...

    def checksum(self, file: RemoteFile) -> Checksum | None:
        """Return the checksum of ``file``, asking the store where the listing had none; None where it has none."""
        ...
