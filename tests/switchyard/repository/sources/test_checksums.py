import hashlib
from pathlib import Path

import pytest

from switchyard.repository.sources.checksums import digest
from switchyard.repository.sources.remote import Algorithm, Checksum

CONTENT = b"123456789" * 300_000


def of_parts(content: bytes, size: int) -> str:
    parts = [hashlib.md5(content[at : at + size]).digest() for at in range(0, len(content), size)]
    return hashlib.md5(b"".join(parts)).hexdigest()


@pytest.mark.parametrize("size", [1 << 20, 5 << 20, len(CONTENT), len(CONTENT) // 3, 7])
def test_an_upload_in_parts_has_the_md5_of_its_parts(tmp_path: Path, size: int) -> None:
    (tmp_path / "file").write_bytes(CONTENT if size > 7 else CONTENT[:100])
    content = (tmp_path / "file").read_bytes()
    checksum = Checksum(algorithm="md5-parts", value=of_parts(content, size), part_size=size)
    assert digest(tmp_path / "file", checksum) == checksum.value


@pytest.mark.parametrize(
    ("algorithm", "content", "value"),
    [
        ("crc32", b"123456789", "cbf43926"),  # the check values of the CRC catalogue: https://reveng.sourceforge.io
        ("crc32c", b"123456789", "e3069283"),
        ("md5", b"", "d41d8cd98f00b204e9800998ecf8427e"),
        ("sha1", b"abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        ("sha256", b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ("git-sha1", b"", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"),  # what `git hash-object` prints for no content
    ],
)
def test_a_checksum_is_the_one_that_others_compute(
    tmp_path: Path, algorithm: Algorithm, content: bytes, value: str
) -> None:
    (tmp_path / "file").write_bytes(content)
    assert digest(tmp_path / "file", Checksum(algorithm=algorithm, value="")) == value
