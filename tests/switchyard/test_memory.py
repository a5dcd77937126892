"""What a process keeps of memory that it does not use."""

import mmap
import os
import re
from pathlib import Path

from switchyard.memory import return_pages

SIZE = 4 << 20


def resident(path: Path) -> int:
    """Bytes of ``path`` in this process's memory."""
    _, _, after = Path("/proc/self/smaps").read_text().partition(f"{path}\n")
    found = re.search(r"^Rss:\s+(\d+) kB", after, re.MULTILINE)
    assert found, f"{path} is not mapped"
    return int(found.group(1)) * 1024


def test_pages_of_a_file_are_given_back_and_read_again(tmp_path: Path) -> None:
    kept, returned = tmp_path / "kept", tmp_path / "returned"
    for path in (kept, returned):
        path.write_bytes(b"x" * SIZE)
        with path.open("rb") as file:
            os.fsync(file.fileno())
    with kept.open("rb") as one, returned.open("rb") as other:
        mapped = [mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) for file in (one, other)]
    assert [bytes(each).count(b"x") for each in mapped] == [SIZE, SIZE]
    assert resident(returned) == SIZE
    return_pages("/returned")
    assert resident(returned) < SIZE // 10
    assert resident(kept) == SIZE
    assert mapped[1][-1:] == b"x"
