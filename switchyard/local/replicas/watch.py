"""Looks after a ready process until something is to be done about it."""

import asyncio
import logging
from typing import Any, Literal

from switchyard.http.client import Client
from switchyard.local.activator.request_queue import RequestQueue
from switchyard.local.plan.workloads import Service
from switchyard.local.processes.start import PROBE_SECONDS, RunningPod, is_ready

# A process that does not respond for this long is restarted: a liveness probe with Kubernetes' defaults, three failures
# ten seconds apart, takes as long.
_UNRESPONSIVE_SECONDS = 30.0

logger = logging.getLogger(__name__)

Outcome = Literal["ended", "unneeded", "renewed"]


class Watch:
    """Waits for what happens to the process of one service, which may have to make room in memory.

    ``renewed`` is set when there is newer content than the process has loaded, ``dismissed`` when it is to sleep now.
    """

    def __init__(self, service: Service, queue: RequestQueue, client: Client) -> None:
        self._service = service
        self._queue = queue
        self._client = client
        self.renewed = asyncio.Event()
        self.dismissed = asyncio.Event()
        self._watches = False

    @property
    def pinned(self) -> bool:
        return self._service.scale.pinned

    @property
    def busy(self) -> bool:
        """Whether the process is in use, or is only starting."""
        return self._queue.busy or not self._watches

    @property
    def last_used(self) -> float:
        return self._queue.last_used

    def make_room(self) -> None:
        """Let the process sleep now, unless it is in use."""
        if not self.busy:
            self.dismissed.set()

    async def until(self, running: RunningPod) -> Outcome:
        """Wait until the process has ended, is unresponsive, has been idle long enough to sleep, or is to be replaced.

        One that is unresponsive is killed.
        """
        self._watches = True
        try:
            return await self._until(running)
        finally:
            self._watches = False

    async def _until(self, running: RunningPod) -> Outcome:
        ends: asyncio.Future[Any] = running.end
        events = (self._queue.suspected, self.renewed, self.dismissed)
        while not ends.done():
            if self.dismissed.is_set():
                return "unneeded"
            if self._queue.suspected.is_set():
                await self._probe_suspect(running)
                continue
            if self.renewed.is_set():
                return "renewed"
            left = self._seconds_until_idle()
            if left is not None and left <= 0:
                return "unneeded"
            waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(event.wait()) for event in events]
            try:
                await asyncio.wait({ends, *waits}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
        return "ended"

    def _seconds_until_idle(self) -> float | None:
        """Return the seconds until the service may sleep at the earliest, None if it never does."""
        scale = self._service.scale
        if scale.minimum > 0:
            return None
        if self._queue.busy:
            # Look again later instead of at every request's end: `last_used` then says how long it has been idle.
            return max(scale.idle, PROBE_SECONDS)
        return self._queue.last_used + scale.idle - asyncio.get_running_loop().time()

    async def _probe_suspect(self, running: RunningPod) -> None:
        """Probe a process for which a request failed; admit requests again if it responds, kill it if it does not."""
        deadline = asyncio.get_running_loop().time() + _UNRESPONSIVE_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            # First, because the connections of a process that dies close before its end is reported.
            await asyncio.wait({running.end}, timeout=PROBE_SECONDS)
            if running.end.done():
                return
            if await is_ready(self._client, running.address.http_port, self._service.command):
                self._queue.open(running.address)
                return
        logger.error("%s has not responded on its readiness path for %.0f s", self._service.name, _UNRESPONSIVE_SECONDS)
        running.pod.kill()  # without SIGTERM, which needs an event loop that still runs
        await asyncio.shield(running.end)
