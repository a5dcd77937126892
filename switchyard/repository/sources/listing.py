"""What of a source's listing is taken: names that stay in their folder, and no more than a disk and a person bear."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from switchyard.repository.folder import FolderLimits
from switchyard.repository.names import quoted
from switchyard.repository.sources.remote import RemoteFile, SourceError

_LONGEST_NAME = 200  # bytes; file systems take 255
_MODEL = FolderLimits()

Page = TypeVar("Page")


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The most that is listed of one source.

    ``files`` are those of a repository of 200 models of 100 files each, twice; names that are no files, which consoles
    make for folders, are as many at most. ``pages`` have 100 names then, a tenth of what stores give.
    """

    files: int = 40_000
    pages: int = 400


LIMITS = Limits()


def bounded(uri: str, files: Iterable[RemoteFile | None], limits: Limits) -> tuple[RemoteFile, ...]:
    """Return ``files`` in the order of their paths; None stands for a name that is no file.

    No more than ``limits.files`` + 1 of each are read.

    Raises:
        SourceError: there are none, or more.
    """
    listed: list[RemoteFile] = []
    skipped = 0
    for file in files:
        if file is None:
            skipped += 1
        elif file.size < 0:
            raise SourceError(f"{uri} has {quoted(file.path)} of {file.size:,} bytes: its store is damaged")
        else:
            listed.append(file)
        if max(len(listed), skipped) > limits.files:
            kind = "names of folders" if skipped > limits.files else "files"
            raise SourceError(f"{uri} has more than {limits.files:,} {kind}: name a folder with fewer")
    if not listed:
        raise SourceError(f"{uri} has no files: is the name right, and the upload complete?")
    return tuple(sorted(listed, key=lambda file: file.path))


def paged(uri: str, pages: Iterable[Page], limits: Limits) -> Iterator[Page]:
    """Yield the ``pages`` of a listing, which a store may go on with for ever without a file in them.

    Raises:
        SourceError: there are more than ``limits.pages``.
    """
    for number, page in enumerate(pages, 1):
        if number > limits.pages:
            raise SourceError(f"{uri} has a listing of more than {limits.pages:,} pages: name a folder with less in it")
        yield page


def checked(uri: str, files: Iterable[RemoteFile], limits: FolderLimits = _MODEL) -> tuple[RemoteFile, ...]:
    """Return the ``files`` of one model that are fetched; those whose names begin with a dot are none of it.

    Raises:
        SourceError: a name leaves its folder or is no name of a file, two names differ only in case, or there is more
            than ``limits`` allows.
    """
    taken: dict[str, RemoteFile] = {}
    total = 0
    for file in files:
        if is_hidden(file.path):
            continue
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
        raise SourceError(f"{uri} has {len(taken):,} files, of {limits.files:,} that a model may have")
    if total > limits.bytes:
        raise SourceError(f"{uri} has {total:,} bytes, of {limits.bytes:,} that a model may have")
    _no_file_is_a_folder(uri, taken)
    return tuple(taken.values())


def is_hidden(path: str) -> bool:
    """Return whether ``path`` has a name that begins with a dot; ``.`` and ``..`` are no names."""
    return any(name.startswith(".") and name not in (".", "..") for name in path.split("/"))


def unsafe(path: str) -> str:
    """Return why ``path`` is not taken as a path below a folder, empty if it is."""
    names = path.split("/")
    if not path or path.startswith("/") or "" in names:
        return "is no path of a file"
    if ".." in names or "." in names:
        return "leaves its folder"
    if "\\" in path or not path.isprintable():
        return "has a control character or a backslash in its name"
    if len(path.encode()) > _MODEL.path or any(len(name.encode()) > _LONGEST_NAME for name in names):
        return f"has a path of more than {_MODEL.path} bytes, or a name of more than {_LONGEST_NAME}"
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
