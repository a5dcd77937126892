"""The client of the preloaded parent, against the real program with nothing heavy to import."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from switchyard.backoff import Backoff, ConsecutiveFailures
from switchyard.local.processes import identities, preload
from switchyard.local.processes.launch import LaunchSpec, Process, SpawnLauncher
from switchyard.local.processes.preload import PreloadedLauncher
from switchyard.local.processes.preload_declaration import Preload
from tests.switchyard.local.conftest import until

CHILD = """
import os, sys, time
print("argv", sys.argv[1:], os.environ["WORD"], flush=True)
if sys.argv[1:] == ["exit"]:
    sys.exit(5)
time.sleep(60)
"""


class Parent:
    def __init__(self, folder: Path, module: str = "json", *, wait: bool = True) -> None:
        (folder / "child.py").write_text(CHILD)
        self.folder = folder
        self.log = folder / "log"
        self.pids: list[int] = []
        env = {**os.environ, "PYTHONPATH": f"{folder}:{Path(__file__).parents[4]}"}
        socket = preload.socket_path(folder, "test")
        preloads = {"child": Preload((module,), wait)}
        self.launcher = PreloadedLauncher(
            spawn=SpawnLauncher(),
            preloads=preloads,
            python=sys.executable,
            socket=socket,
            spec=preload.launch_spec(
                python=sys.executable,
                socket=socket,
                preloads=preloads,
                env=env,
                root=folder,
                log=folder / "preload.log",
            ),
            failures=ConsecutiveFailures(backoff=Backoff(0.05, 0.05)),
            on_pid=self.pids.append,
        )

    async def launch(self, *argv: str) -> Process:
        env = {**os.environ, "WORD": "hello", "PYTHONPATH": str(self.folder)}
        spec = LaunchSpec(
            name="child", argv=(sys.executable, "-m", "child", *argv), env=env, cwd=self.folder, log=self.log
        )
        return await self.launcher.launch(spec)


@pytest.fixture
async def parent(tmp_path: Path) -> AsyncIterator[Parent]:
    made = Parent(tmp_path)
    running = asyncio.ensure_future(made.launcher.run())
    yield made
    running.cancel()
    await asyncio.wait([running])
    assert not [pid for pid in made.pids if identities.identify(pid)]


async def test_a_start_waits_for_the_imports_and_is_then_forked(parent: Parent) -> None:
    process = await parent.launch("a", "b")
    assert psutil.Process(process.pid).ppid() == parent.pids[0]
    await until(lambda: "argv ['a', 'b'] hello" in parent.log.read_text(), "it got its arguments and environment")
    process.terminate()
    assert await process.wait() == -signal.SIGTERM


async def test_an_exit_code_comes_back(parent: Parent) -> None:
    assert await (await parent.launch("exit")).wait() == 5


async def test_a_killed_child_ends_with_its_signal(parent: Parent) -> None:
    process = await parent.launch()
    process.kill()
    assert await process.wait() == -signal.SIGKILL


async def test_children_end_with_a_killed_parent_which_is_started_again(parent: Parent) -> None:
    process = await parent.launch()
    os.kill(parent.pids[0], signal.SIGKILL)
    assert await process.wait() == -signal.SIGKILL
    await until(lambda: len(parent.pids) == 2, "it is started again")
    again = await parent.launch("exit")
    assert await again.wait() == 5


async def test_a_command_of_another_module_is_spawned(parent: Parent) -> None:
    spec = LaunchSpec(
        name="other", argv=(sys.executable, "-c", "pass"), env=dict(os.environ), cwd=parent.folder, log=parent.log
    )
    process = await parent.launcher.launch(spec)
    assert psutil.Process(process.pid).ppid() == os.getpid()
    assert await process.wait() == 0


async def test_without_a_working_parent_children_are_spawned(tmp_path: Path) -> None:
    made = Parent(tmp_path)
    broken = preload.launch_spec(
        python=sys.executable,
        socket=tmp_path / "s",
        preloads={"child": Preload(("no_such_module",), wait=True)},
        env=dict(os.environ),
        root=Path(__file__).parents[4],
        log=tmp_path / "preload.log",
    )
    made.launcher = PreloadedLauncher(
        spawn=SpawnLauncher(),
        preloads={"child": Preload(("no_such_module",), wait=True)},
        python=sys.executable,
        socket=tmp_path / "s",
        spec=broken,
        failures=ConsecutiveFailures(backoff=Backoff(60, 60)),
        on_pid=made.pids.append,
    )
    running = asyncio.ensure_future(made.launcher.run())
    try:
        process = await made.launch("exit")
        assert psutil.Process(process.pid).ppid() == os.getpid()
        assert await process.wait() == 5
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_a_start_that_is_declared_not_to_wait_does_not_wait_for_the_parent(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(60)\n")
    made = Parent(tmp_path, "slow", wait=False)
    running = asyncio.ensure_future(made.launcher.run())
    await until(lambda: made.pids, "the parent imports")
    process = await asyncio.wait_for(made.launch("exit"), 5)
    assert await process.wait() == 5
    running.cancel()
    await asyncio.wait([running])


def test_a_socket_path_that_is_too_long_moves_to_the_temporary_folder(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 120)
    assert len(str(preload.socket_path(long, "id"))) < 108
    assert preload.socket_path(Path("/run/x"), "id") == Path("/run/x/preload.sock")
