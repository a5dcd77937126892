"""What encryption at rest adds: what is stored is not readable, and keys can be changed."""

import os
from base64 import b64encode
from pathlib import Path

import pytest

from switchyard.store.contract import StoreError
from switchyard.store.factory import open_recordings
from switchyard.store.recordings.contract import Bounds, Page, Recordings
from switchyard.store.recordings.sealed import DecryptionError, Keys, SealedRecordings, read_keys
from switchyard.store.recordings.sqlite import SqliteRecordings

SECRET = b"my prompt's response"


async def record(recordings: Recordings, recording: str = "a", name: str = "key:one", scope: str = "tenant") -> None:
    await recordings.claim(scope, name, recording, b"", lease=10, ttl=600)
    await recordings.append(scope, recording, 0, SECRET, lease=10)
    await recordings.finish(scope, recording, 1, SECRET, complete=True, ttl=600, bounds=Bounds())


def key_file(folder: Path, *numbers: int) -> Path:
    path = folder / "keys"
    path.write_text("".join(f"{number} {b64encode(bytes([number]) * 32).decode()}\n" for number in numbers))
    return path


def segments(page: Page | None) -> list[bytes]:
    assert page is not None
    return list(page.segments)


def contents(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite://{tmp_path}/store.db"


async def test_no_file_has_what_was_recorded(store: str, tmp_path: Path) -> None:
    recordings = open_recordings(store, keys=key_file(tmp_path, 1))
    await record(recordings)
    written = contents(tmp_path)
    await recordings.aclose()
    assert b"key:one" in written
    assert SECRET not in written


async def test_equal_segments_are_stored_differently(tmp_path: Path) -> None:
    plain = SqliteRecordings(tmp_path / "recordings.db")
    sealed = SealedRecordings(plain, Keys(1, {1: os.urandom(32)}))
    await record(sealed)
    one, other = segments(await plain.find("sealed:tenant", "key:one"))
    assert one[13:] != other[13:]
    await sealed.aclose()


async def test_a_new_key_writes_and_old_ones_are_read_while_they_are_there(store: str, tmp_path: Path) -> None:
    for keys, name in (((1,), "key:one"), ((2, 1), "key:two")):
        recordings = open_recordings(store, keys=key_file(tmp_path, *keys))
        await record(recordings, name, name)
        for each in ("key:one", name):
            assert segments(await recordings.find("tenant", each)) == [SECRET, SECRET]
        await recordings.aclose()

    recordings = open_recordings(store, keys=key_file(tmp_path, 2))
    assert segments(await recordings.find("tenant", "key:two")) == [SECRET, SECRET]
    for read in (recordings.find("tenant", "key:one"), recordings.claim("tenant", "key:one", "c", b"", lease=1, ttl=1)):
        with pytest.raises(StoreError, match="key 1, which is not there"):
            await read
    await recordings.aclose()


async def test_a_segment_is_valid_in_its_place_alone(tmp_path: Path) -> None:
    plain = SqliteRecordings(tmp_path / "recordings.db")
    sealed = SealedRecordings(plain, Keys(1, {1: os.urandom(32)}))
    await record(sealed)
    first, last = segments(await plain.find("sealed:tenant", "key:one"))

    moved = {
        "another number": ("tenant", "a2", [last]),
        "another recording": ("tenant", "b", [first]),
        "another scope": ("other", "a", [first]),
        "a changed byte": ("tenant", "c", [first[:-1] + bytes([first[-1] ^ 1])]),
        "too short": ("tenant", "d", [first[:20]]),
        "only a key": ("tenant", "e", [first[:1]]),
    }
    for what, (scope, recording, written) in moved.items():
        await plain.claim(f"sealed:{scope}", what, recording, b"", lease=10, ttl=600)
        for number, segment in enumerate(written):
            await plain.append(f"sealed:{scope}", recording, number, segment, lease=10)
        with pytest.raises(DecryptionError, match="not as it was written"):
            await sealed.find(scope, what)
    await sealed.aclose()


async def test_what_was_written_without_keys_is_not_found_with_them(store: str, tmp_path: Path) -> None:
    plain, sealed = open_recordings(store), open_recordings(store, keys=key_file(tmp_path, 1))
    await record(plain)
    assert await sealed.find("tenant", "key:one") is None
    await record(sealed)
    assert segments(await plain.find("tenant", "key:one")) == [SECRET, SECRET]
    await plain.aclose()
    await sealed.aclose()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "secretsecret",
        f"256 {b64encode(bytes(32)).decode()}",
        f"-1 {b64encode(bytes(32)).decode()}",
        f"1 {b64encode(bytes(31)).decode()}",
        f"1 {b64encode(bytes(32)).decode()}\n1 {b64encode(bytes(32)).decode()}",
        "1 sécret",
        "1 secret!secret",
    ],
)
def test_a_file_without_valid_keys_is_an_error_that_shows_nothing_of_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"no key|cannot be read") as caught:
        read_keys(path)
    assert "AAAA" not in str(caught.value)
    assert "cret" not in str(caught.value)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="FileNotFoundError"):
        read_keys(tmp_path / "keys")


def test_keys_are_not_shown(tmp_path: Path) -> None:
    keys = read_keys(key_file(tmp_path, 3, 1))
    assert (keys.current, set(keys.keys)) == (3, {1, 3})
    assert "\\x03" not in repr(keys)
