"""What of a source's listing is taken: names that stay in their folder, and no more than a disk and a person bear."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from switchyard.repository.names import quoted
from switchyard.repository.sources.remote import RemoteFile, SourceError

_LONGEST_PATH = 512
_LONGEST_NAME = 200  # below 255, the most that file systems take, as names get a suffix while they are fetched


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The most that one source may hold.

    A repository of 200 models with 50 files each fits; 2 TiB is more than any model's weights today.
    """

    files: int = 20_000
    bytes: int = 2 << 40


LIMITS = Limits()


def checked(uri: str, files: Iterable[RemoteFile], limits: Limits) -> tuple[RemoteFile, ...]:
    """Return ``files`` in the order of their paths; no more than ``limits.files`` + 1 are read.

    Raises:
        SourceError: a name leaves its folder or is no name of a file, two names differ only in case, or there is more
            than ``limits`` allows.
    """
    taken: dict[str, RemoteFile] = {}
    total = 0
    for file in files:
        if fault := unsafe(file.path):
            raise SourceError(
                f"{uri} has a file {quoted(file.path)}, which {fault}: rename it, or remove it from there"
            )
        other = taken.setdefault(file.path.casefold(), file)
        if other is not file:
            raise SourceError(
                f"{uri} has {quoted(other.path)} and {quoted(file.path)}, which are one file where case is ignored: "
                "rename one of them"
            )
        total += file.size
        if len(taken) > limits.files:
            raise SourceError(f"{uri} has more than {limits.files:,} files: name a folder with fewer")
        if total > limits.bytes:
            raise SourceError(f"{uri} has more than {limits.bytes:,} bytes: name a folder with fewer")
    if not taken:
        raise SourceError(f"{uri} has no files: is the name right, and the upload complete?")
    _no_file_is_a_folder(uri, taken)
    return tuple(sorted(taken.values(), key=lambda file: file.path))


def unsafe(path: str) -> str:
    """Return why ``path`` is not taken as a path below a folder, empty if it is."""
    names = path.split("/")
    if not path or path.startswith("/") or "" in names:
        return "is no path of a file"
    if ".." in names or "." in names:
        return "leaves its folder"
    if "\\" in path or not path.isprintable():
        return "has a control character or a backslash in its name"
    if len(path.encode()) > _LONGEST_PATH or any(len(name.encode()) > _LONGEST_NAME for name in names):
        return f"has a path of more than {_LONGEST_PATH} bytes, or a name of more than {_LONGEST_NAME}"
    return ""


def revision_of(files: Iterable[RemoteFile]) -> str:
    """Return a revision for a store that has none: the SHA-256 over all paths, sizes and ETags."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.path}\0{file.size}\0{file.etag}\0".encode())
    return f"sha256:{digest.hexdigest()}"


def _no_file_is_a_folder(uri: str, files: Iterable[str]) -> None:
    known = set(files)
    for path in known:
        parts = path.split("/")
        for end in range(1, len(parts)):
            if (parent := "/".join(parts[:end])) in known:
                raise SourceError(f"{uri} has {quoted(parent)} as a file and as a folder: remove one of them")
