"""Opens the place of files that a setting names."""

from pathlib import Path

from switchyard.gateway.files.contract import FileStore
from switchyard.gateway.files.disk import DiskFileStore


def open_file_store(place: str) -> FileStore:
    """Return the file store at an absolute path.

    Raises:
        ValueError: it is none.
    """
    path = Path(place)
    if not path.is_absolute():
        raise ValueError(f"{place!r} is no place for files: use an absolute path")
    return DiskFileStore(path)
