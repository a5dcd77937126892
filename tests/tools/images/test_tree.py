"""Folders as layers, and bytecode that needs no times."""

import importlib.util
import subprocess
import sys
from pathlib import Path

from tools.images.oci import Entry
from tools.images.tree import walk, with_bytecode


def test_caches_stay_behind_and_links_stay_links(tmp_path: Path) -> None:
    (tmp_path / "a/__pycache__").mkdir(parents=True)
    for name in ("a/x.py", "a/__pycache__/x.pyc", "a/old.pyc"):
        (tmp_path / name).touch()
    (tmp_path / "a/y.py").symlink_to("x.py")
    found = {entry.path: entry.link for entry in walk(tmp_path, "at")}
    assert found == {"at/a": None, "at/a/x.py": None, "at/a/y.py": "x.py"}


def test_bytecode_is_the_same_each_time_and_used_without_looking_at_times(tmp_path: Path) -> None:
    source = tmp_path / "module.py"
    source.write_text("NAMES = {'a', 'b', 'c'}\nprint(sorted(NAMES))\n")
    entries = [Entry(path="site/module.py", source=source), Entry(path="site/broken.py", content=b"def :\n")]
    made = []
    for _ in range(2):
        all_entries = with_bytecode(entries, tmp_path / "stage")
        compiled = [entry for entry in all_entries if entry.path.endswith(".pyc")]
        assert [entry.path for entry in compiled] == [importlib.util.cache_from_source("site/module.py")]
        assert compiled[0].source
        made.append(compiled[0].source.read_bytes())
    assert made[0] == made[1]
    assert int.from_bytes(made[0][4:8], "little") == 0b01  # by hash, unchecked (PEP 552)
    assert b"/site/module.py" in made[0]  # where tracebacks will say that it is
    (tmp_path / "module.pyc").write_bytes(made[0])
    run = subprocess.run([sys.executable, tmp_path / "module.pyc"], capture_output=True, text=True, check=True)
    assert run.stdout == "['a', 'b', 'c']\n"


def test_the_bytecode_of_our_own_code_is_the_same_each_time(tmp_path: Path) -> None:
    package = Path(__file__).parents[3] / "switchyard" / "http"
    made = [
        {entry.path: entry.source.read_bytes() for entry in with_bytecode(walk(package, "p"), stage) if entry.source}
        for stage in (tmp_path / "one", tmp_path / "two")
    ]
    assert made[0] == made[1]
