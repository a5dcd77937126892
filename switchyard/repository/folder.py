"""The files of one model's folder: what is in it, whether that may be served at all, and a SHA-256 of everything.

Nothing in an incoming folder may be a symbolic link, the folder itself included. Whoever can write there would reach
with a link what only the reader may read, such as the token of its pod; and a link's target changes unseen by whoever
watches the folder. A person who names a path at the terminal means what it leads to: resolve it first.
"""

import hashlib
import itertools
import os
import stat
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from switchyard.repository.names import quoted
from switchyard.repository.unsafe import by_beginning, by_name
from switchyard.repository.verdict import Fault, FaultCode, Group

_UNFINISHED = (".part", ".partial", ".incomplete", ".crdownload", ".filepart", ".aria2")
_MOST_FAULTS = 20  # of one folder; nobody reads more


class FolderError(Exception):
    """The folder cannot be read as it was listed; ``fault`` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderLimits:
    """The most that a folder may have: DeepSeek-V3, of the largest open models, is 700 GB in 163 files of 5 GB each."""

    files: int = 4096
    depth: int = 8  # folders below the model's
    path: int = 512  # bytes of one path below the folder
    file_bytes: int = 256 << 30
    bytes: int = 1 << 40


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """One file; ``stamp`` changes when it is written to or replaced: its inode, and when it was written and changed."""

    path: str
    size: int
    stamp: tuple[int, int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """What counts in a folder, by path: not hidden files and ``__pycache__``, which are never published."""

    files: tuple[File, ...]
    folders: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def paths(self) -> frozenset[str]:
        return frozenset(file.path for file in self.files)


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """The SHA-256 of every file, in hexadecimal, by path; ``digest`` is that of paths, sizes and contents together."""

    files: Mapping[str, str]
    bytes: int
    digest: str


def list_files(
    folder: Path, group: Group, limits: FolderLimits = FolderLimits(), *, beginnings: bool = True
) -> Listing:
    """List the files of a model's folder; never raises for what is in it.

    Of the files, only the ``beginnings`` are read, which tell what is code or a pickle under another name.
    """
    files: list[File] = []
    faults: list[Fault] = []
    try:
        root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as err:
        return Listing(files=(), faults=(_root_fault(folder, err),))
    walk = _Walk(limits)
    try:
        for found in walk.folder(root, PurePosixPath()):
            fault = found if isinstance(found, Fault) else _file_fault(root, found, group, limits, beginnings)
            if isinstance(found, File):
                files.append(found)
            if fault:
                faults.append(fault)
            if len(faults) >= _MOST_FAULTS:
                break
    except OSError as err:
        faults.append(_unreadable("", err))
    except FolderError as err:
        faults.append(err.fault)
    finally:
        os.close(root)
    files.sort(key=lambda file: file.path)
    listing = Listing(files=tuple(files), folders=tuple(walk.folders))
    if listing.bytes > limits.bytes:
        faults.append(_too_large("", f"The folder has {listing.bytes} bytes, of {limits.bytes} that a model may have"))
    if not files and not faults:
        faults.append(_incomplete("", "The folder is empty: copy the model's files into it."))
    return replace(listing, faults=tuple(faults))


def hash_files(folder: Path, listing: Listing) -> Manifest:
    """Read every listed file once.

    Raises:
        FolderError: one cannot be read, or is not what was listed any more.
    """
    digests = {}
    whole = hashlib.sha256()
    for file in listing.files:
        digests[file.path] = _digest(folder, file)
        whole.update(f"{digests[file.path]} {file.size} {file.path}\0".encode())
    return Manifest(files=digests, bytes=listing.bytes, digest=whole.hexdigest())


@dataclass(slots=True)
class _Walk:
    """Goes through open folders: handles, not paths, are followed, so nothing can be swapped for a link meanwhile."""

    limits: FolderLimits
    entries: int = 0  # folders and ignored files too: a tree of empty folders has an end
    folders: list[str] = field(default_factory=list)

    def folder(self, handle: int, below: PurePosixPath) -> Iterator[File | Fault]:
        with os.scandir(handle) as found:
            names = sorted(entry.name for entry in itertools.islice(found, self.limits.files + 1))
        self.entries += len(names)
        if self.entries > self.limits.files:
            raise FolderError(_too_large("", f"The folder has more than {self.limits.files} files and folders"))
        folded: dict[str, str] = {}
        for name in names:
            if name.startswith(".") or name == "__pycache__":
                continue
            path = str(below / name)
            fault = _path_fault(path, name, self.limits) or _collision(path, name, folded)
            if fault:
                yield fault
                continue
            try:
                yield from self._entry(handle, path, name)
            except FileNotFoundError:
                yield _incomplete(path, f"{quoted(path)} went away while the folder was read: it is being changed.")
            except OSError as err:
                yield _unreadable(path, err)

    def _entry(self, handle: int, path: str, name: str) -> Iterator[File | Fault]:
        found = os.stat(name, dir_fd=handle, follow_symlinks=False)
        if stat.S_ISREG(found.st_mode):
            yield File(path=path, size=found.st_size, stamp=stamp_of(found))
        elif stat.S_ISLNK(found.st_mode):
            yield _link(path)
        elif not stat.S_ISDIR(found.st_mode):
            what = f"{quoted(path)} is no regular file but a pipe, a socket or a device: remove it."
            yield Fault(code=FaultCode.SPECIAL_FILE, file=path, message=what)
        elif path.count("/") >= self.limits.depth:
            yield _too_large(path, f"{quoted(path)} lies more than {self.limits.depth} folders deep")
        else:
            self.folders.append(path)
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=handle)
            try:
                yield from self.folder(inner, PurePosixPath(path))
            finally:
                os.close(inner)


def _collision(path: str, name: str, folded: dict[str, str]) -> Fault | None:
    other = folded.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
    if other == name:
        return None
    return Fault(
        code=FaultCode.CASE_COLLISION,
        file=path,
        message=f"{quoted(path)} and {quoted(other)} are one file where case does not count, as on macOS: "
        "rename or remove one of them.",
    )


def _path_fault(path: str, name: str, limits: FolderLimits) -> Fault | None:
    # What is no UTF-8 comes with surrogates, which are not printable.
    if not name.isprintable() or "\\" in name:
        return Fault(
            code=FaultCode.NAME,
            message=f"A file is called {quoted(path)}: rename it so that it has no control characters, backslashes or "
            "bytes that are not UTF-8.",
        )
    if len(path.encode()) > limits.path:
        return _too_large("", f"The path {quoted(path)} has more than {limits.path} bytes")
    return None


def _file_fault(root: int, file: File, group: Group, limits: FolderLimits, beginnings: bool) -> Fault | None:
    if file.size > limits.file_bytes:
        what = f"{quoted(file.path)} has {file.size} bytes, of {limits.file_bytes} that a file may have"
        return _too_large(file.path, what)
    suffix = PurePosixPath(file.path).suffix.lower()
    if suffix in _UNFINISHED:
        what = f"{quoted(file.path)} is an unfinished download: wait for it, or remove it if nothing writes it."
        return _incomplete(file.path, what)
    unsafe = by_name(file.path, group) or (by_beginning(root, file.path, group) if beginnings else "")
    if not unsafe:
        return None
    fix = f"remove it, and give the weights as {'model.safetensors' if group == 'llm' else 'an ONNX file'}"
    if suffix == ".onnx":
        fix = "export the model to ONNX"
    elif suffix == ".zip":
        fix = "unpack it into the model's folder if it holds the model, and remove it"
    what = f"{quoted(file.path)} is {unsafe}, and reading it could run anything"
    return Fault(
        code=FaultCode.PICKLE,
        file=file.path,
        message=f"{what}: {fix}.",
    )


def _digest(folder: Path, file: File) -> str:
    changed = _incomplete(file.path, f"{quoted(file.path)} changed while it was read: it is still being written.")
    try:
        handle = os.open(folder / file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, "rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
            after = os.fstat(handle)
    except FileNotFoundError as err:
        raise FolderError(changed) from err
    except OSError as err:
        raise FolderError(_unreadable(file.path, err)) from err
    if stamp_of(after) != file.stamp or after.st_size != file.size:
        raise FolderError(changed)
    return digest


def stamp_of(found: os.stat_result) -> tuple[int, int, int]:
    """Return the ``File.stamp`` of a file."""
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns


def _root_fault(folder: Path, err: OSError) -> Fault:
    if folder.is_symlink():
        return _link("")
    if isinstance(err, NotADirectoryError):
        return Fault(
            code=FaultCode.UNREADABLE,
            message=f"{quoted(folder.name)} is a file: a model is a folder of this name with the file in it.",
        )
    if isinstance(err, FileNotFoundError):
        return _incomplete("", f"There is no folder {quoted(folder.name)}: copy it.")
    return _unreadable("", err)


def _link(path: str) -> Fault:
    what = quoted(path) if path else "The model's folder"
    return Fault(
        code=FaultCode.LINK,
        file=path,
        message=f"{what} is a symbolic link, which is not followed: copy what it leads to (`cp -rL`).",
    )


def _incomplete(path: str, message: str) -> Fault:
    return Fault(code=FaultCode.INCOMPLETE, file=path, message=message)


def _too_large(path: str, what: str) -> Fault:
    return Fault(code=FaultCode.TOO_LARGE, file=path, message=f"{what}: leave only what the model needs.")


def _unreadable(path: str, err: OSError) -> Fault:
    what = quoted(path) if path else "The folder"
    return Fault(
        code=FaultCode.UNREADABLE,
        file=path,
        message=f"{what} cannot be read ({err.strerror}): give the platform's user the right to (`chmod -R a+rX`).",
    )
