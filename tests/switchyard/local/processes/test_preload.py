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
from switchyard.http.client import Client
from switchyard.local.plan.workloads import Command
from switchyard.local.processes import identities, preload
from switchyard.local.processes.launch import LaunchError, LaunchSpec, Process, SpawnLauncher
from switchyard.local.processes.mounts import Mounts
from switchyard.local.processes.preload import PreloadedLauncher
from switchyard.local.processes.preload_declaration import Preload
from switchyard.local.processes.start import Starter, StartError
from tests.switchyard.local.conftest import until

CHILD = """
import os, sys, time
print("argv", sys.argv[1:], os.environ["WORD"], flush=True)
if sys.argv[1:] == ["exit"]:
    sys.exit(5)
time.sleep(60)
"""


class Parent:
    def __init__(self, folder: Path, module: str = "json", *, wait: bool = True, import_seconds: float = 60) -> None:
        (folder / "child.py").write_text(CHILD)
        self.folder = folder
        self.log = folder / "log"
        self.pids: list[int] = []
        self.ready: list[float] = []
        self.ends: list[str] = []
        self.waits: list[str] = []
        env = {**os.environ, "PYTHONPATH": f"{folder}:{Path(__file__).parents[4]}"}
        socket = folder / "s"
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
            on_ready=self.ready.append,
            on_end=self.ends.append,
            import_seconds=import_seconds,
        )

    async def launch(self, *argv: str) -> Process:
        env = {**os.environ, "WORD": "hello", "PYTHONPATH": str(self.folder)}
        spec = LaunchSpec(
            name="child", argv=(sys.executable, "-m", "child", *argv), env=env, cwd=self.folder, log=self.log
        )
        await self.launcher.prepare(spec.argv, self.waits.append)
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
    assert parent.waits == ["its start waits for the imports that models share, which began with `up`"]
    assert len(parent.ready) == 1
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
        on_ready=made.ready.append,
        on_end=made.ends.append,
    )
    running = asyncio.ensure_future(made.launcher.run())
    try:
        process = await made.launch("exit")
        assert psutil.Process(process.pid).ppid() == os.getpid()
        assert await process.wait() == 5
        assert made.ready == []
        assert [end.partition(" for ")[0] for end in made.ends] == ["ended with 1; models start without it"]
    finally:
        running.cancel()
        await asyncio.wait([running])


class Start:
    """A start of the child by a parent's launcher; ``told`` is what it said, in order."""

    def __init__(self, parent: Parent, client: Client) -> None:
        self.told: list[str] = []
        self._starter = Starter(
            launcher=parent.launcher,
            client=client,
            mounts=Mounts(()),
            logs=lambda _: parent.log,
            run_id="x",
            base={"WORD": "hello", "PYTHONPATH": str(parent.folder)},
            hosts={},
        )
        self._command = Command(
            name="child",
            argv=(sys.executable, "-m", "child"),
            env={},
            cwd=parent.folder,
            readiness="/ready",
            http_port=80,
            grpc=False,
            ports=frozenset({80}),
            grace=1,
        )

    async def run(self, deadline: float) -> None:
        await self._starter.start(
            self._command,
            (),
            {80: 1},
            deadline=deadline,
            on_phase=lambda phase, _: self.told.append(phase),
            on_pid=lambda _: self.told.append("launched"),
            on_wait=self.told.append,
        )


async def test_the_wait_for_the_imports_counts_for_the_starts_deadline(tmp_path: Path) -> None:
    client = Client()
    start = Start(Parent(tmp_path), client)  # the parent is not run and never settles
    with pytest.raises(StartError, match="not launched within") as caught:
        await start.run(deadline=0.05)
    assert caught.value.final
    assert start.told == [preload.WAITS]
    await client.aclose()


async def test_the_wait_for_the_imports_is_told_and_is_a_phase_of_its_own(parent: Parent) -> None:
    client = Client()
    first, second = Start(parent, client), Start(parent, client)
    for start in (first, second):
        running = asyncio.ensure_future(start.run(deadline=60))
        await until(lambda start=start: "spawn" in start.told, "the process exists")  # type: ignore[misc]
        running.cancel()
        await asyncio.wait([running])
    assert first.told == [preload.WAITS, "preload", "launched", "spawn"]
    assert second.told == ["launched", "spawn"]
    await client.aclose()


async def test_a_parent_whose_imports_hang_is_killed_and_its_children_are_spawned(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(60)\n")
    made = Parent(tmp_path, "slow", import_seconds=0.2)
    running = asyncio.ensure_future(made.launcher.run())
    process = await asyncio.wait_for(made.launch("exit"), 10)
    assert psutil.Process(process.pid).ppid() == os.getpid()
    assert await process.wait() == 5
    await until(lambda: len(made.pids) == 2, "the parent is started again")
    assert identities.identify(made.pids[0]) is None
    running.cancel()
    await asyncio.wait([running])


async def test_a_fork_that_fails_is_spawned_in_its_place_and_leaves_no_connection(
    parent: Parent, caplog: pytest.LogCaptureFixture
) -> None:
    await (await parent.launch("exit")).wait()
    parent.log = parent.folder / "child.py" / "log"  # no parent can open it, and no spawn
    before = psutil.Process().num_fds()
    with pytest.raises(LaunchError):
        await parent.launch()
    assert "fork failed, starting a separate process: NotADirectoryError" in caplog.text
    await until(lambda: psutil.Process().num_fds() <= before, "the connection is closed")


async def test_a_start_that_is_cancelled_during_its_fork_leaves_no_child(parent: Parent) -> None:
    await (await parent.launch("exit")).wait()
    forker = psutil.Process(parent.pids[0])
    forker.suspend()
    before = psutil.Process().num_fds()
    starting = asyncio.ensure_future(parent.launch())
    await until(lambda: psutil.Process().num_fds() > before, "it is connected")
    starting.cancel()
    await asyncio.wait([starting])
    forker.resume()
    again = await parent.launch()  # served after the request that was given up
    await until(lambda: [child.pid for child in forker.children()] == [again.pid], "the other child is gone")
    again.kill()
    await again.wait()


async def test_a_start_that_is_declared_not_to_wait_does_not_wait_for_the_parent(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(60)\n")
    made = Parent(tmp_path, "slow", wait=False)
    running = asyncio.ensure_future(made.launcher.run())
    await until(lambda: made.pids, "the parent imports")
    process = await asyncio.wait_for(made.launch("exit"), 5)
    assert await process.wait() == 5
    running.cancel()
    await asyncio.wait([running])
