"""A key that was written is found, wherever it is; and it fails the run."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from switchyard.gateway.tenants.keys import create_key
from tests.docs.pages import ROOT
from tests.leaks import finding
from tests.leaks.finding import keys_in, leaks

KEY = create_key()


@pytest.mark.parametrize(
    "text",
    [KEY, f'{{"key": "{KEY}"}}', f"Bearer {KEY}\n", f"/a?key={KEY}&b", f"u{KEY}x", f"sy-{KEY}"],
    ids=["alone", "JSON", "a header", "a query", "in a word", "behind its own prefix"],
)
def test_a_key_is_found_in_any_text(text: str) -> None:
    assert keys_in(text.encode()) == {KEY}


@pytest.mark.parametrize(
    "text",
    [KEY[:-1], KEY[:9] + " " + KEY[9:], "sy-" + "a" * 49, "sy-...abcd", ""],
    ids=["short", "with a gap", "a wrong checksum", "hidden", "nothing"],
)
def test_what_only_looks_like_a_key_is_none(text: str) -> None:
    assert keys_in(text.encode()) == set()


def test_files_with_keys_are_named_in_all_folders(tmp_path: Path) -> None:
    (tmp_path / "state/logs").mkdir(parents=True)
    (tmp_path / "state/logs/gateway.log").write_text(f"it was {KEY} who asked")
    (tmp_path / "state/fine.log").write_text("nothing")
    (tmp_path / "link").symlink_to(tmp_path / "state")
    (tmp_path / "loop.log").symlink_to(tmp_path / "loop.log")
    assert leaks(tmp_path) == [f"state/logs/gateway.log: {KEY[:8]}…"]


@pytest.mark.parametrize("before", range(0, 60, 7))
def test_a_key_across_two_chunks_is_found(tmp_path: Path, before: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "_CHUNK", 100)
    (tmp_path / "core").write_bytes(b"\0" * (100 - before) + KEY.encode() + b"\0" * 300)
    assert leaks(tmp_path) == [f"core: {KEY[:8]}…"]


def test_a_key_in_a_store_is_found(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "store.db") as store:
        store.execute("CREATE TABLE keys (value TEXT)")
        store.execute("INSERT INTO keys VALUES (?)", (KEY,))
    store.close()
    assert leaks(tmp_path) == [f"store.db: {KEY[:8]}…"]


@pytest.mark.parametrize(("written", "status"), [(KEY, 1), ("nothing", 0)], ids=["a key", "nothing"])
def test_a_run_whose_servers_wrote_a_key_fails(tmp_path: Path, written: str, status: int) -> None:
    (tmp_path / "conftest.py").write_text("from tests.leaks.plugin import no_key_is_written as no_key_is_written\n")
    (tmp_path / "test_it.py").write_text(
        "import os\n\n\ndef test_it(tmp_path):\n    (tmp_path / 'a.log').write_text(os.environ['WRITTEN'])\n"
    )
    options = ("-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "--basetemp", str(tmp_path / "made"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", os.devnull, *options, str(tmp_path / "test_it.py")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "WRITTEN": written},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == status, done.stdout
    assert ("a.log: sy-" in done.stdout) is bool(status)
    assert KEY not in done.stdout
