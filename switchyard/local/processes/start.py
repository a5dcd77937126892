"""One start of a pod: ports, environment, launch, and the wait for its readiness."""

import asyncio
import contextlib
import os
import socket
import ssl
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from switchyard.http.client import Client, Timeouts
from switchyard.http.client.errors import UpstreamError
from switchyard.local.plan import arguments
from switchyard.local.plan.workloads import Address, Command
from switchyard.local.processes import identities
from switchyard.local.processes.launch import Launcher, LaunchError, LaunchSpec, Process
from switchyard.local.processes.mounts import Mounts
from switchyard.local.processes.pod import Pod
from switchyard.local.processes.reasons import is_lasting
from switchyard.local.processes.startlog import PodLog
from switchyard.local.processes.temporary import temporary_folder
from switchyard.local.program import program
from switchyard.telemetry.metrics.families import Phase

PROBE_SECONDS = 0.05

_PROBE_TIMEOUTS = Timeouts(connect=1.0, first_byte=2.0, total=3.0)
_OK = range(200, 400)  # the statuses that the kubelet counts as success

OnPhase = Callable[[Phase, float], None]


class StartError(Exception):
    """A process ended, or was ended, before it was ready; ``final`` if another attempt would fail the same way."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


@dataclass(frozen=True, slots=True)
class RunningPod:
    """A pod that runs at ``address``; ``end`` becomes the exit code of the container that ended first."""

    pod: Pod
    end: "asyncio.Future[int]"
    address: Address

    def failure(self, log: PodLog) -> StartError:
        """Return how it ended, and whether another start would end the same way."""
        code, container = self.end.result(), self.pod.first_to_end
        sentence = log.reason(container, code)
        return StartError(exited(code, log.name(container) + sentence), final=is_lasting(code, sentence))


def free_ports(wanted: Collection[int]) -> dict[int, int]:
    """Map each of the ``wanted`` ports to a free loopback port."""
    # Free, not reserved: if a program takes one before the pod does, this start fails and the next draws others.
    with contextlib.ExitStack() as stack:  # all are bound at the same time, so that no port is found twice
        probes = {port: stack.enter_context(socket.socket()) for port in wanted}
        for probe in probes.values():
            probe.bind((arguments.LOOPBACK, 0))
        return {port: int(probe.getsockname()[1]) for port, probe in probes.items()}


def probing_tls() -> ssl.SSLContext:
    """Make the context of probes over TLS; as the kubelet's, they check no certificate, which is for other names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def is_ready(client: Client, port: int, command: Command) -> bool:
    """Whether the readiness path responds with success."""
    if command.probe == "tcp":
        return await _accepts(port)
    url = arguments.loopback_url(port, command.probe) + command.readiness
    try:
        response = await client.request(b"GET", url, (), timeouts=_PROBE_TIMEOUTS)
    except UpstreamError:
        return False
    status = response.status
    try:
        await response.read()  # so that the connection can be reused
    except UpstreamError:
        return False
    finally:
        response.close()
    return status in _OK


async def _accepts(port: int) -> bool:
    try:
        async with asyncio.timeout(_PROBE_TIMEOUTS.total):
            _, writer = await asyncio.open_connection(arguments.LOOPBACK, port)
    except OSError:
        return False
    writer.close()
    return True


async def stop(process: Process, end: "asyncio.Future[int]", grace: float) -> None:
    """Send SIGTERM, and SIGKILL after ``grace`` seconds; return when every process has ended."""
    if end.done():
        return
    process.terminate()
    try:
        await asyncio.wait({end}, timeout=grace)
    finally:  # on a cancellation too: whoever stops a process may rely on its end
        process.kill()
        await asyncio.shield(end)


class Starter:
    """Starts commands; ``base`` is the environment under each command's own variables.

    ``hosts`` maps the cluster's host names of services to the ``host:port`` where they listen here.
    """

    def __init__(
        self,
        *,
        launcher: Launcher,
        client: Client,
        mounts: Mounts,
        logs: Callable[[str], Path],
        run_id: str,
        base: Mapping[str, str],
        hosts: Mapping[str, str],
    ) -> None:
        self._launcher = launcher
        self._hosts = hosts
        self._client = client
        self._mounts = mounts
        self._logs = logs
        self._base = self.environment(base, run_id)
        self._addresses: dict[int, Address] = {}

    def address_of(self, pid: int) -> Address | None:
        """Return where the pod of which ``pid`` is the process listens, None before it is ready and after its end."""
        return self._addresses.get(pid)

    @staticmethod
    def environment(base: Mapping[str, str], run_id: str) -> dict[str, str]:
        """Return the variables that every process of a run has."""
        return {
            **base,
            # Predictors listen on HOST; a pod's default is every interface, which this machine must not offer.
            "HOST": arguments.LOOPBACK,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{base.get('PATH', os.defpath)}",
            "TMPDIR": str(temporary_folder(run_id)),
            identities.RUN_VARIABLE: run_id,
        }

    async def start(
        self,
        command: Command,
        sidecars: Sequence[Command],
        ports: Mapping[int, int],
        *,
        deadline: float,
        on_phase: OnPhase,
        on_pid: Callable[[int], None],
        on_wait: Callable[[str], None],
    ) -> RunningPod:
        """Start ``command`` and its ``sidecars``; return when it is ready.

        ``ports`` maps each port of the pod to one of this machine. ``deadline`` is in seconds from now. ``on_wait`` is
        told for what the launch has to wait.

        Raises:
            StartError: a process could not be started or ended, or was not ready in time.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        metrics = command.port_variables.get("METRICS_PORT", 0)
        address = Address(http_port=ports[command.http_port], metrics_port=ports.get(metrics, 0))
        # Opened before the launch, at the logs' ends: nothing of this start is missed, nothing of an earlier one read.
        with PodLog([self._logs(one.name) for one in (command, *sidecars)]) as log:
            try:
                async with asyncio.timeout(deadline):
                    if any([await self._launcher.prepare(one.argv, on_wait) for one in (command, *sidecars)]):
                        on_phase("preload", loop.time() - began)
                    launched = loop.time()
                    pod = await self._launch(command, sidecars, ports)
            except LaunchError as err:
                raise StartError(str(err)) from err
            except TimeoutError as err:
                message = f"not launched within {deadline:.0f} s; see `{program()} logs preload`"
                raise StartError(message, final=True) from err
            on_pid(pod.pid)
            on_phase("spawn", loop.time() - launched)
            running = RunningPod(pod, asyncio.ensure_future(pod.wait()), address)
            try:
                await self._await_ready(command, running, log, began + deadline, on_phase)
            except BaseException:  # a cancellation too: a pod that is not returned has no other owner
                await stop(pod, running.end, 0.0)
                raise
        self._addresses[pod.pid] = address
        running.end.add_done_callback(lambda _: self._addresses.pop(pod.pid, None))
        return running

    async def _launch(self, command: Command, sidecars: Sequence[Command], ports: Mapping[int, int]) -> Pod:
        launched: list[Process] = []
        try:
            for one in (*sidecars, command):  # the public container may need them, so they start first
                process = await self._launcher.launch(self._spec(one, ports))
                launched.append(process)
        except BaseException:
            for process in launched:
                process.kill()
            raise
        return Pod(launched[-1], launched[:-1])

    def _spec(self, command: Command, ports: Mapping[int, int]) -> LaunchSpec:
        self._mounts.prepare(command)
        argv = [arguments.rehost(text, self._hosts) for text in arguments.bind(command.argv, ports)]
        env = {
            **self._base,
            **{
                key: arguments.rehost(arguments.rebase(value, ports), self._hosts) for key, value in command.env.items()
            },
            **{key: str(ports[port]) for key, port in command.port_variables.items()},
        }
        return LaunchSpec(name=command.name, argv=tuple(argv), env=env, cwd=command.cwd, log=self._logs(command.name))

    async def _await_ready(
        self, command: Command, running: RunningPod, log: PodLog, deadline: float, on_phase: OnPhase
    ) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        # Polled every 50 ms, because a process reports readiness by HTTP only.
        while not await is_ready(self._client, running.address.http_port, command):
            for phase, seconds in log.phases():
                on_phase(phase, seconds)
            if running.end.done():
                raise running.failure(log)
            if loop.time() > deadline:
                said = f"; it last said: {log.reason()}" if log.reason() else ""
                raise StartError(f"not ready within {deadline - began:.0f} s ({command.readiness}){said}", final=True)
            await asyncio.wait({running.end}, timeout=PROBE_SECONDS)
        # Once more: a predictor logs its last phases just before it says that it is ready.
        for phase, seconds in log.phases():
            on_phase(phase, seconds)


def exited(code: int, said: str) -> str:
    """Describe how a process ended: its code or signal, and what its log says about that."""
    how = f"was ended by signal {-code}" if code < 0 else f"exited with code {code}"
    return f"{how}: {said}" if said else how
