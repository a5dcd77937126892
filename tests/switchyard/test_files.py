"""Files that somebody has replaced by what is none."""

import os
from pathlib import Path

import pytest

from switchyard.files import read_file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def test_a_file_and_a_link_to_one_are_read(path: Path) -> None:
    path.write_bytes(b"12345")
    (path.parent / "link").symlink_to(path)
    assert read_file(path.parent / "link", 5) == b"12345"


def test_a_longer_file_is_not_read(path: Path) -> None:
    path.write_bytes(b"12345")
    with pytest.raises(OSError, match="more than 4 bytes"):
        read_file(path, 4)


@pytest.mark.parametrize("kind", ["device", "FIFO", "folder"])
def test_what_is_no_file_is_not_waited_for(kind: str, path: Path) -> None:
    if kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "FIFO":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(OSError, match="no regular file"):
        read_file(path, 1 << 40)
