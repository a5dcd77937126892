"""What follows the failure of a service's process: a pause, and after several a rejection of requests meanwhile."""

import asyncio
import logging

from switchyard.backoff import ConsecutiveFailures
from switchyard.http.api_errors import ApiError
from switchyard.local.activator.request_queue import RequestQueue
from switchyard.local.plan.workloads import Service
from switchyard.local.program import program
from switchyard.local.status.board import StatusBoard

# After this many crashes in a row, with no response between them, clients are told that the service failed.
CRASHES = 3

# So long a service that failed rejects requests; the first one after that starts it again, as the cause may be gone.
REJECTING_SECONDS = 1.0

logger = logging.getLogger(__name__)


class Recovery:
    """The failures of one service in a row; ``next_start`` is when one that always runs is started again."""

    def __init__(self, service: Service, queue: RequestQueue, board: StatusBoard) -> None:
        self._service = service
        self._queue = queue
        self._board = board
        self._failures = ConsecutiveFailures()
        self.next_start = 0.0

    @property
    def goes_on(self) -> bool:
        """Whether nothing went well since the last failure."""
        return self._failures.count > 0

    def end(self) -> None:
        """Take note that a process serves."""
        self._failures.reset()

    async def wait(self, reason: str, *, final: bool) -> None:
        """Wait before the next attempt; reject requests when the service has failed too often."""
        # 0.5 to 30 s, where the kubelet's CrashLoopBackOff takes 10 s to 5 min: no other replica serves meanwhile.
        pause = self._failures.add()
        name, loop = self._service.name, asyncio.get_running_loop()
        logger.warning("%s %s; next attempt in %.1f s, or after 1 s for a request", name, reason, pause)
        self.next_start = loop.time() + pause
        if final or self._failures.count >= CRASHES:
            pause = min(pause, REJECTING_SECONDS)
            again = loop.time() + pause
            times = f", {self._failures.count} times in a row" if self._failures.count > 1 else ""
            text = f"{reason}{times}; see `{program()} logs {name}`"
            self._board.set(name, "failed", text)
            told = self._board.for_clients(text)
            self._queue.reject(lambda: ApiError("model_failed", f"{name}: {told}", retry_after=again - loop.time()))
        else:
            self._board.set(name, "waking" if self._queue.waiting or self._service.scale.minimum else "asleep")
        # A request within the pause of a failed service is rejected, not queued, so that its client can go elsewhere.
        await asyncio.sleep(pause)
        self._queue.accept()
