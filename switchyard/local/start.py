"""One start of a process: ports, environment, launch, and the wait until it answers that it is ready."""

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from switchyard.http.client import Client, Deadlines
from switchyard.http.errors import UpstreamError
from switchyard.local import arguments, procfs
from switchyard.local.admission import Address
from switchyard.local.launch import Launcher, LaunchError, Order, Process
from switchyard.local.plan import Command
from switchyard.local.startlog import StartLog
from switchyard.telemetry.metrics import Phase

PROBE_SECONDS = 0.05

_PROBE_DEADLINES = Deadlines(connect=1.0, first_byte=2.0, total=3.0)
_OK = range(200, 400)  # what the kubelet takes for success

OnPhase = Callable[[Phase, float], None]


class StartFailed(Exception):
    """A process ended or was ended before it was ready; the message is a sentence with the reason."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


@dataclass(frozen=True, slots=True)
class Running:
    """A process that was ready; ``end`` becomes its exit code."""

    process: Process
    end: "asyncio.Future[int]"
    address: Address


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((arguments.LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


async def is_ready(client: Client, port: int, path: str) -> bool:
    """Whether the readiness path answers that the process is ready."""
    try:
        response = await client.request(
            b"GET", f"http://{arguments.LOOPBACK}:{port}{path}", (), deadlines=_PROBE_DEADLINES
        )
    except UpstreamError:
        return False
    status = response.status
    try:
        await response.read()  # so that the connection is used again
    except UpstreamError:
        return False
    finally:
        response.close()
    return status in _OK


async def stop(process: Process, end: "asyncio.Future[int]", grace: float) -> None:
    """SIGTERM, then SIGKILL after ``grace`` seconds; returns when nothing of the process is left."""
    if end.done():
        return
    process.terminate()
    try:
        await asyncio.wait({end}, timeout=grace)
    finally:
        process.kill()
        await asyncio.shield(end)


class Starter:
    """Starts commands; ``base`` is the environment that they all get under their own variables."""

    def __init__(
        self, *, launcher: Launcher, client: Client, logs: Callable[[str], Path], mark: str, base: Mapping[str, str]
    ) -> None:
        self._launcher = launcher
        self._client = client
        self._logs = logs
        self._base = self.environment(base, mark)

    @staticmethod
    def environment(base: Mapping[str, str], mark: str) -> dict[str, str]:
        """What every process of a run has in its environment."""
        return {
            **base,
            # Predictors listen on HOST; a pod's default is every interface, which this machine must not offer.
            "HOST": arguments.LOOPBACK,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{base.get('PATH', os.defpath)}",
            procfs.RUN_VARIABLE: mark,
        }

    async def start(
        self, command: Command, address: Address, *, deadline: float, on_phase: OnPhase, on_pid: Callable[[int], None]
    ) -> Running:
        """Starts ``command`` on the ports of ``address`` and returns when it is ready.

        Raises:
            StartFailed: it could not be started, ended, or was not ready within ``deadline`` seconds.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        log = StartLog(self._logs(command.name))
        try:
            process = await self._launcher.launch(self._order(command, address))
            on_pid(process.pid)
            on_phase("spawn", loop.time() - began)
            end = asyncio.ensure_future(process.wait())
            try:
                await self._await_ready(command, address, end, log, began + deadline, on_phase)
            except BaseException:
                await stop(process, end, 0.0)
                raise
        except LaunchError as err:
            raise StartFailed(str(err)) from err
        finally:
            log.close()
        return Running(process, end, address)

    def _order(self, command: Command, address: Address) -> Order:
        for folder in command.folders:
            folder.mkdir(parents=True, exist_ok=True)
        for path, text in command.files.items():
            path.write_text(text)
        argv = arguments.bind(command.argv, http_port=address.http_port, grpc_port=address.grpc_port)
        env = {**self._base, **command.env}
        return Order(name=command.name, argv=argv, env=env, cwd=command.cwd, log=self._logs(command.name))

    async def _await_ready(
        self,
        command: Command,
        address: Address,
        end: "asyncio.Future[int]",
        log: StartLog,
        due: float,
        on_phase: OnPhase,
    ) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not await is_ready(self._client, address.http_port, command.readiness):
            for phase, seconds in log.phases():
                on_phase(phase, seconds)
            if end.done():
                raise StartFailed(exited(end.result(), log.reason()))
            if loop.time() > due:
                said = f"; it last said: {log.reason()}" if log.reason() else ""
                raise StartFailed(f"not ready within {due - began:.0f} s ({command.readiness}){said}", final=True)
            await asyncio.wait({end}, timeout=PROBE_SECONDS)
        for phase, seconds in log.phases():
            on_phase(phase, seconds)


def exited(code: int, said: str) -> str:
    """How a process ended, in words."""
    how = f"was ended by signal {-code}" if code < 0 else f"exited with code {code}"
    return f"{how}: {said}" if said else how
