"""The real preloaded parent, forking small modules that the test writes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

DEADLINE = 20.0


def eventually(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"not within {DEADLINE} s: {what}"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


class Parent:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "child.log"
        self.path = folder / "s"
        (folder / "slow.py").write_text("NUMBER = 41\n")
        env = dict(os.environ, PYTHONPATH=str(folder))
        command = [sys.executable, "-m", "predictors.serving.preload", "--socket", str(self.path), "--import", "slow"]
        with (folder / "parent.log").open("wb") as log:
            self.process = subprocess.Popen(command, env=env, stderr=log)
        eventually(lambda: self.path.exists(), "the socket of the preloaded parent")

    def fork(self, code: str, *argv: str, env: dict[str, str] | None = None) -> "Child":
        (self.folder / "job.py").write_text(code)
        order = {"module": "job", "argv": argv, "env": env or {}, "log": str(self.log), "cwd": str(self.folder)}
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(DEADLINE)
        connection.connect(str(self.path))
        connection.sendall(json.dumps(order).encode() + b"\n")
        return Child(connection)


class Child:
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lines = connection.makefile()
        self.first: dict[str, Any] = json.loads(self._lines.readline())

    @property
    def pid(self) -> int:
        return int(self.first["pid"])

    def exit(self) -> int:
        code = int(json.loads(self._lines.readline())["exit"])
        self.close()
        return code

    def close(self) -> None:
        self._lines.close()
        self._connection.close()


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[Parent]:
    started = Parent(tmp_path)
    yield started
    started.process.kill()
    started.process.wait()


def test_a_child_finds_the_imports_done_and_gets_its_own_arguments_environment_and_log(parent: Parent) -> None:
    code = "import os, sys\nprint('slow' in sys.modules, sys.argv[1:], dict(os.environ), os.getcwd())"
    child = parent.fork(code, "--port=1", env={"A": "b"})
    assert child.exit() == 0
    assert parent.log.read_text() == f"True ['--port=1'] {{'A': 'b'}} {parent.folder}\n"


@pytest.mark.parametrize(("code", "expected"), [("import sys; sys.exit(3)", 3), ("raise ValueError('why')", 1)])
def test_the_exit_code_of_a_child_is_reported(parent: Parent, code: str, expected: int) -> None:
    assert parent.fork(code).exit() == expected


def test_the_traceback_of_a_failing_child_is_in_its_log(parent: Parent) -> None:
    parent.fork("raise ValueError('why')").exit()
    assert "ValueError: why" in parent.log.read_text()


def test_a_killed_child_is_reported_with_its_signal_and_the_parent_serves_on(parent: Parent) -> None:
    child = parent.fork("import time; time.sleep(600)")
    os.kill(child.pid, signal.SIGKILL)
    assert child.exit() == -signal.SIGKILL
    assert parent.fork("pass").exit() == 0


def test_children_run_side_by_side_in_sessions_of_their_own(parent: Parent) -> None:
    first = parent.fork("import time; time.sleep(600)")
    second = parent.fork("import time; time.sleep(600)")
    eventually(lambda: os.getsid(first.pid) == first.pid and os.getsid(second.pid) == second.pid, "own sessions")
    for child in (first, second):
        os.kill(child.pid, signal.SIGTERM)
        assert child.exit() == -signal.SIGTERM


def test_children_die_with_a_parent_that_is_killed(parent: Parent) -> None:
    child = parent.fork("import time; time.sleep(600)")
    parent.process.kill()
    eventually(lambda: not alive(child.pid), "the death of the child")
    child.close()


@pytest.mark.parametrize("line", [b'{"argv": []}', b"[]", b"7", b'{"log": 1.5}', b"no JSON", b""])
@pytest.mark.parametrize("reads", [True, False], ids=["reads", "closes at once"])
def test_a_request_that_makes_no_sense_gets_an_error_and_harms_nobody(parent: Parent, line: bytes, reads: bool) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(parent.path))
        connection.sendall(line + b"\n")
        if reads:
            with connection.makefile() as lines:
                assert "error" in json.loads(lines.readline())
    assert parent.fork("pass").exit() == 0


def test_a_child_whose_connection_is_closed_is_killed_and_reaped(parent: Parent) -> None:
    child = parent.fork("import time; time.sleep(600)")
    child.close()
    eventually(lambda: not psutil.pid_exists(child.pid), "the end of the child")
    assert parent.fork("pass").exit() == 0
