"""A real ``switchyard up`` on a tiny overlay, taken down after each test, its logs printed when the test fails."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from switchyard.catalog import CatalogFile, Model
from switchyard.local.processes import identities
from switchyard.local.status.run_directory import Run, StateDirectory
from switchyard.local.supervisor import commands
from tests.ports import free_port
from tests.switchyard.local import overlays
from tests.switchyard.local.overlays import Stub

DEADLINE = 20.0


class Local:
    """One project with one overlay; ``up`` may be called again after a stop."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = free_port()
        self.directory = StateDirectory(root / ".switchyard")
        self.process: subprocess.Popen[bytes] | None = None
        self.runs: list[Run] = []
        self.printed = ""

    def up(
        self,
        *stubs: Stub,
        real_gateway: bool = False,
        arguments: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
    ) -> Run:
        """Starts the supervisor in the foreground of a process of its own and waits for what it says then."""
        overlay = overlays.write(self.root, list(stubs), self.port, real_gateway=real_gateway)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "switchyard.cli", "up", str(overlay), *arguments],
            cwd=self.root,
            env={**self.environment(), **(variables or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert self.process.stdout is not None
        self.printed = ""
        for line in self.process.stdout:
            self.printed += line.decode()
            if line.endswith(b" down\n"):
                break
        else:
            raise AssertionError(f"it did not come up:\n{self.printed}")
        run = self.directory.running()
        assert run is not None
        self.runs.append(run)
        return run

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "PYTHONWARNINGS": "error"}

    def command(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Runs ``switchyard argv…`` in the project."""
        return subprocess.run(
            [sys.executable, "-m", "switchyard.cli", *argv],
            cwd=self.root,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def stop(self, number: signal.Signals) -> int:
        """Sends the supervisor a signal and returns its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(timeout=60)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        return code

    def models(self) -> Mapping[str, Model]:
        """The catalog."""
        return CatalogFile(self.directory.catalog).current().models

    def url(self, name: str) -> str:
        return self.models()[name].url

    def phase(self, name: str) -> str:
        model = self.models().get(name)
        return model.state.phase if model else "unknown"

    def row(self, name: str) -> dict[str, Any]:
        return commands.status(self.directory)[1][name]

    def left(self) -> list[identities.Identity]:
        """Everything that any run has left."""
        return [identity for run in self.runs for identity in identities.of_run(run.run_id)]

    def logs(self) -> str:
        texts = [f"--- {log.name}\n{log.read_text()}" for log in sorted(self.directory.logs.glob("*.log"))]
        return "\n".join(texts)

    def close(self) -> None:
        if self.process is not None:
            self.stop(signal.SIGTERM)
        if run := self.directory.read():
            self.runs.append(run)
            commands.down(self.directory)
        identities.kill(self.left(), within=10)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed  # type: ignore[attr-defined]
    return report


FAILED = pytest.StashKey[bool]()


@pytest.fixture
def local(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Local]:
    running = Local(tmp_path)
    try:
        yield running
        if request.node.stash.get(FAILED, False):
            print(running.logs())
    finally:
        running.close()
    assert running.left() == []


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(timeout=30, limits=limits, trust_env=False) as made:
        yield made


async def until(condition: Callable[[], object], what: str) -> None:
    """Waits for ``condition``; fails with ``what`` after the deadline."""
    due = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < due, f"not within {DEADLINE:.0f} s: {what}"
        await asyncio.sleep(0.02)


def eventually(condition: Callable[[], object], what: str) -> None:
    """``until`` for tests without a loop."""
    asyncio.run(until(condition, what))
