"""``make audit`` where no vulnerability database can be reached."""

import os
import subprocess

from tests.manifests.documents import ROOT
from tests.ports import free_port


def test_where_the_database_cannot_be_reached_it_says_so_and_finds_nothing_safe() -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    env = {**os.environ, "HTTPS_PROXY": nobody, "https_proxy": nobody, "NO_PROXY": "", "no_proxy": ""}
    done = subprocess.run([ROOT / ".ci/audit"], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "cannot be reached from here: nothing was looked up" in done.stderr
    assert done.stdout == ""
