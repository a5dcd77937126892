"""Who a process is, to every process that asks."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from switchyard.local.processes import identities
from switchyard.local.processes.identities import RUN_VARIABLE, Identity


@pytest.fixture
def child() -> Iterator["subprocess.Popen[bytes]"]:
    env = {**os.environ, RUN_VARIABLE: "run of this test"}
    process = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env=env, start_new_session=True
    )
    yield process
    process.kill()
    process.communicate()


def test_processes_agree_on_who_a_process_is() -> None:
    script = f"from switchyard.local.processes.identities import identify; print(identify({os.getpid()}).started)"
    seen = int(subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout)
    me = identities.identify(os.getpid())
    assert me == Identity(os.getpid(), seen)


def test_a_process_began_when_the_monotonic_clock_said_so(child: "subprocess.Popen[bytes]") -> None:
    found = identities.identify(child.pid)
    assert found is not None
    assert abs(found.started / 100 - time.monotonic()) < 5  # since boot, not since 1970


def test_a_killed_process_is_gone_though_its_zombie_stays(child: "subprocess.Popen[bytes]") -> None:
    found = identities.identify(child.pid)
    assert found is not None
    assert identities.kill([found], within=10) == []
    assert not found.alive()
    assert identities.identify(child.pid) is None
    assert child.returncode is None  # nobody has waited for it


def test_processes_of_a_run_are_found_by_its_mark_and_by_their_session(child: "subprocess.Popen[bytes]") -> None:
    found = identities.identify(child.pid)
    assert found is not None
    assert identities.of_run("run of this test") == [found]
    assert identities.of_run("another") == []
    assert identities.with_sessions([found, Identity(os.getpid(), 1)]) == [found]
