"""The life of one service's process: asleep → waking → ready → draining → asleep, or failed with a reason."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from switchyard.backoff import ConsecutiveFailures
from switchyard.http.api_errors import ApiError
from switchyard.http.client import Client
from switchyard.local.activator.request_queue import QueueLimits, RequestQueue
from switchyard.local.plan.workloads import Service
from switchyard.local.processes.start import PROBE_SECONDS, RunningPod, Starter, StartError, free_ports, is_ready, stop
from switchyard.local.processes.startlog import PodLog
from switchyard.local.program import program
from switchyard.local.status.board import StatusBoard
from switchyard.telemetry.metrics import LocalMetrics

# After this many crashes in a row, with no response between them, clients are told that the service failed.
CRASHES = 3

# So long a service that failed rejects requests; the first one after that starts it again, as the cause may be gone.
REJECTING_SECONDS = 1.0

_STABLE_SECONDS = 10.0  # a process that was ready this long did not crash at its start
# A process that does not respond for this long is restarted: a liveness probe with Kubernetes' defaults, three failures
# ten seconds apart, takes as long.
_UNRESPONSIVE_SECONDS = 30.0

logger = logging.getLogger(__name__)


class Replica:
    """Runs one service's process while it is wanted; a stop by ``cancel`` takes at most ``grace`` seconds.

    After a failure the next attempt waits 0.5 s, doubling to 30 s. The third failure in a row, or one that another
    attempt would repeat, fails the service: waiting requests are rejected with the reason, and new ones for
    ``REJECTING_SECONDS``. The next request, or with minReplicas the end of the pause, starts it again.
    """

    def __init__(
        self,
        service: Service,
        *,
        starter: Starter,
        client: Client,
        board: StatusBoard,
        metrics: LocalMetrics,
        logs: Sequence[Path],
        limits: QueueLimits,
        grace: float,
    ) -> None:
        self._service = service
        self._starter = starter
        self._client = client
        self._board = board
        self._logs = logs
        # Of a stop of the whole run, for which a person waits. A service that falls asleep has its full grace.
        self._grace = min(grace, service.command.grace)
        self._failures = ConsecutiveFailures()
        self._wanted = asyncio.Event()
        self._cause = "request"
        self._next_start = 0.0
        self._draining: set[asyncio.Task[None]] = set()
        self.queue = RequestQueue(
            service.name,
            concurrency=service.scale.concurrency,
            limits=limits,
            demand=self._wanted.set,
            on_waiting=lambda count: metrics.held.labels(service.name).set(count),
        )

    async def run(self) -> None:
        """Keep the service in its wanted state until cancelled, then stop its process."""
        if reason := self._blocked_reason():
            self._board.set(self._service.name, "failed", reason, blocked=True)
            told = self._board.for_clients(reason)
            self.queue.reject(lambda: ApiError("model_failed", f"{self._service.name}: {told}"))
            return  # for the rest of the run: only other documents would help, and `up` reads them once
        if (reason := self._missing_model()) and not self._arriving():
            self._board.set(self._service.name, "failed", reason)  # told before somebody asks; a request is still tried
        try:
            while True:
                await self._demand()
                self._board.starting(self._service.name, self._cause)
                try:
                    running = await self._start()
                except StartError as err:
                    await self._recover(str(err), final=err.final)
                    continue
                died = await self._serve(running)
                if died:
                    await self._recover(died, final=False)
        finally:
            await self._finish_draining()

    def _blocked_reason(self) -> str:
        if self._service.stopped:
            return "its owner stopped it by annotation serving.kserve.io/stop"
        return self._service.problem

    def _missing_model(self) -> str:
        folder = self._service.model_dir
        missing = folder is not None and not folder.is_dir()
        return f"its model folder {folder} does not exist; put the model there" if missing else ""

    def _arriving(self) -> str:
        """Return what is done with the model's folder before it can be served at all; empty if nothing is."""
        folder = self._board.folder(self._service.name)
        return folder.sentence if folder and folder.facts is None and folder.phase != "failed" else ""

    async def _await_folder(self) -> None:
        """Wait while the model's folder is brought and checked.

        Raises:
            StartError: there is none, or nothing in it can be served.
        """
        loop, name = asyncio.get_running_loop(), self._service.name
        deadline = loop.time() + self._service.scale.progress_deadline
        while (missing := self._missing_model()) and (reason := self._arriving()) and loop.time() < deadline:
            self._board.set(name, "waking", reason)
            await asyncio.sleep(PROBE_SECONDS)
        if missing:
            folder = self._board.folder(name)
            raise StartError((folder.sentence if folder else "") or missing, final=True)

    async def _demand(self) -> None:
        """Wait until a process is wanted: because a request waits, or always, once a pause after a failure is over."""
        always_on = self._service.scale.minimum > 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self._next_start if always_on else None):
                # The event only wakes this loop; the queue decides. Who set it may have disconnected during a pause,
                # and a model is not started for nobody.
                while not self.queue.waiting:
                    self._wanted.clear()
                    await self._wanted.wait()
        self._cause = "crash" if self._failures.count else "always-on" if always_on else "request"

    async def _start(self) -> RunningPod:
        service, name = self._service, self._service.name
        # At each start, not only at `up`: a model may be put there while the run lasts.
        await self._await_folder()
        containers = (service.command, *service.sidecars)
        ports = free_ports({port for container in containers for port in container.ports})
        return await self._starter.start(
            service.command,
            service.sidecars,
            ports,
            deadline=service.scale.progress_deadline,
            on_phase=lambda phase, seconds: self._board.phase(name, phase, seconds),
            on_pid=lambda pid: self._board.launched(name, pid),
            on_wait=lambda reason: self._board.set(name, "waking", reason),
        )

    async def _serve(self, running: RunningPod) -> str:
        """Admit requests until the process is idle or dies; return why it died, or an empty string."""
        log = PodLog(self._logs)  # opened here, so that the reason of a death is the last message before it
        began, responses = asyncio.get_running_loop().time(), self.queue.responses
        self._board.set(self._service.name, "ready")
        self.queue.open(running.address)
        try:
            await self._watch(running)
            # Nothing may be awaited between `_watch`'s look at the queue and this line: a request that is admitted in
            # between would be sent to a process that is told to end.
            self.queue.close()
            if not running.end.done():  # idle, not dead
                self._failures.reset()
                self._stop_idle(running)
                return ""
            if self.queue.responses > responses or asyncio.get_running_loop().time() - began > _STABLE_SECONDS:
                self._failures.reset()
            return str(running.failure(log))
        except BaseException:  # a cancellation, mostly: nobody else would stop the process
            await stop(running.pod, running.end, self._grace)
            raise
        finally:
            log.close()
            self.queue.close()

    def _stop_idle(self, running: RunningPod) -> None:
        """Stop a process without requests; the next one may start beside it, as pods do."""
        self._board.set(self._service.name, "draining")
        # In a task of its own: Triton takes four seconds to exit, for which the next request would otherwise wait.
        task = asyncio.create_task(self._drain(running))
        self._draining.add(task)
        task.add_done_callback(self._draining.discard)

    async def _drain(self, running: RunningPod) -> None:
        await stop(running.pod, running.end, self._service.command.grace)
        # A new process may have been started meanwhile, and several may drain: only the last one leaves it asleep.
        if self._board.entries[self._service.name].state == "draining" and len(self._draining) == 1:
            self._board.set(self._service.name, "asleep")

    async def _finish_draining(self) -> None:
        if self._draining:
            _, late = await asyncio.wait(tuple(self._draining), timeout=self._grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _watch(self, running: RunningPod) -> None:
        """Wait until the process has ended, is unresponsive, or has been idle long enough to sleep."""
        suspected: asyncio.Future[Any] = asyncio.ensure_future(self.queue.suspected.wait())
        ends: asyncio.Future[Any] = running.end
        try:
            while not ends.done():
                left = self._seconds_until_idle()
                if left is not None and left <= 0:
                    return
                await asyncio.wait({ends, suspected}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                if suspected.done() and not ends.done():
                    if not await self._probe_suspect(running):
                        return
                    # Only now: the event is set until `queue.open` clears it, and a wait would end at once.
                    suspected = asyncio.ensure_future(self.queue.suspected.wait())
        finally:
            suspected.cancel()

    def _seconds_until_idle(self) -> float | None:
        """Return the seconds until the service may sleep at the earliest, None if it never does."""
        scale = self._service.scale
        if scale.minimum > 0:
            return None
        if self.queue.busy:
            # Look again later instead of at every request's end: `last_used` then says how long it has been idle.
            return max(scale.idle, PROBE_SECONDS)
        return self.queue.last_used + scale.idle - asyncio.get_running_loop().time()

    async def _probe_suspect(self, running: RunningPod) -> bool:
        """Probe a process for which a request failed; admit requests again when it responds, kill it when it does not.

        Returns False if it was killed.
        """
        deadline = asyncio.get_running_loop().time() + _UNRESPONSIVE_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            # First, because the connections of a process that dies close before its end is reported.
            await asyncio.wait({running.end}, timeout=PROBE_SECONDS)
            if running.end.done():
                return True
            if await is_ready(self._client, running.address.http_port, self._service.command):
                self.queue.open(running.address)
                return True
        logger.error("%s has not responded on its readiness path for %.0f s", self._service.name, _UNRESPONSIVE_SECONDS)
        running.pod.kill()  # without SIGTERM, which needs an event loop that still runs
        await asyncio.shield(running.end)
        return False

    async def _recover(self, reason: str, *, final: bool) -> None:
        """Wait before the next attempt; reject requests when the service has failed too often."""
        # 0.5 to 30 s, where the kubelet's CrashLoopBackOff takes 10 s to 5 min: no other replica serves meanwhile.
        pause = self._failures.add()
        name, loop = self._service.name, asyncio.get_running_loop()
        logger.warning("%s %s; next attempt in %.1f s, or after 1 s for a request", name, reason, pause)
        self._next_start = loop.time() + pause
        if final or self._failures.count >= CRASHES:
            pause = min(pause, REJECTING_SECONDS)
            again = loop.time() + pause
            times = f", {self._failures.count} times in a row" if self._failures.count > 1 else ""
            text = f"{reason}{times}; see `{program()} logs {name}`"
            self._board.set(name, "failed", text)
            told = self._board.for_clients(text)
            self.queue.reject(lambda: ApiError("model_failed", f"{name}: {told}", retry_after=again - loop.time()))
        else:
            self._board.set(name, "waking" if self.queue.waiting or self._service.scale.minimum else "asleep")
        # A request within the pause of a failed service is rejected, not queued, so that its client can go elsewhere.
        await asyncio.sleep(pause)
        self.queue.accept()
