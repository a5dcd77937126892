"""Opens the place of files that a setting names."""

from pathlib import Path
from urllib.parse import urlsplit

from switchyard.gateway.files.contract import FileStore
from switchyard.gateway.files.disk import DiskFileStore


def open_file_store(place: str) -> FileStore:
    """Return the file store at an absolute path, or below ``s3://bucket/prefix``.

    Raises:
        ValueError: it is neither, or S3 cannot be used.
    """
    parts = urlsplit(place)
    if parts.scheme == "s3" and parts.netloc and not (parts.query or parts.fragment):
        try:
            from switchyard.gateway.files.s3 import S3FileStore

            prefix = parts.path.strip("/")
            return S3FileStore(parts.netloc, f"{prefix}/" if prefix else "")
        except ImportError as err:
            raise ValueError(f"S3 needs {err.name}, which is in the extra `cluster`") from err
    path = Path(place)
    if not path.is_absolute():
        raise ValueError(f"{place!r} is no place for files: use an absolute path, or s3://bucket/prefix")
    return DiskFileStore(path)
