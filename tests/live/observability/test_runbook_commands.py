"""What a runbook has a person type on one machine runs beside a platform that runs, and says so by its exit status."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.dashboards.runbooks import INDEX, read, runbooks
from tests.live.platform import Platform
from tests.live.processes import DEADLINE, KEY, ROOT

pytestmark = pytest.mark.live

# A search that finds nothing has run; any other part of a pipeline that fails has not.
_SHELL = 'set -euo pipefail; grep() { command grep "$@" || [ $? = 1 ]; }\n'
_ASSIGNMENT = re.compile(r"[A-Z]+=\S+")


def commands() -> list[str]:
    """Every command once, each with the variables that its block sets before it."""
    found = dict[str, None]()
    for block in (block for book in (*runbooks(), read(INDEX)) for block in book.local):
        variables = list[str]()
        for line in block.splitlines():
            if _ASSIGNMENT.fullmatch(line):
                variables.append(line)
            else:
                found["\n".join((*variables, line))] = None
    return [*found]


def run(platform: Platform, command: str) -> str:
    """Run a command as a person would, at the addresses of this platform; return what it says if it fails."""
    observers = platform.record()["observers"]
    here = {"9090": observers["prometheus"], "9093": observers["alertmanager"], "8000": platform.url}
    for port, url in here.items():
        command = command.replace(f"http://localhost:{port}", url)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", _SHELL + command],
        cwd=ROOT,
        env={**platform.environment(), "PATH": path, "SWITCHYARD_URL": platform.url, "SWITCHYARD_KEY": KEY},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    return "" if done.returncode == 0 else f"{done.stdout[-500:]}{done.stderr[-1000:]}"


def test_every_command_of_every_runbook_runs(observed: Platform) -> None:
    first, last = list[str](), list[str]()  # silences are queried and ended once there are some
    for command in commands():
        (last if "amtool silence" in command and " add " not in command else first).append(command)
    with ThreadPoolExecutor(4) as pool:
        said = dict(zip(first, pool.map(lambda command: run(observed, command), first), strict=True))
    said |= {command: run(observed, command) for command in last}

    assert {command: text for command, text in said.items() if text} == {}
