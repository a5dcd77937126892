"""The life of the process of a Deployment, such as the gateway: always running, restarted when it dies."""

import asyncio
import logging
from contextlib import closing
from pathlib import Path

from switchyard.backoff import Backoff, ConsecutiveFailures
from switchyard.local.plan.workloads import Deployment
from switchyard.local.processes import ports
from switchyard.local.processes.start import Starter, StartError, exited, free_ports, stop
from switchyard.local.processes.startlog import StartLog
from switchyard.local.program import program
from switchyard.local.status.board import StatusBoard

START_SECONDS = 60.0

_STABLE_SECONDS = 10.0
_LOOK_SECONDS = 0.5  # as often as the gateway looks at its files

# No request can reach a gateway that does not run, so none can end a long pause once the cause is gone.
_BACKOFF = Backoff(first=0.5, most=2.0)

logger = logging.getLogger(__name__)


class DeploymentRunner:
    """Keeps one Deployment's process running; stopping it takes at most ``grace`` seconds."""

    def __init__(
        self, deployment: Deployment, *, starter: Starter, board: StatusBoard, log: Path, grace: float
    ) -> None:
        self._deployment = deployment
        self._log = log
        self._starter = starter
        self._board = board
        self._grace = min(grace, deployment.command.grace)
        self._failures = ConsecutiveFailures(backoff=_BACKOFF)

    async def run(self) -> None:
        """Run the process until cancelled, then stop it within its grace."""
        while True:
            reason = await self._one_life()
            pause = self._failures.add()
            logger.warning("%s %s; next attempt in %.1f s", self._deployment.name, reason, pause)
            self._board.set(
                self._deployment.name, "failed", f"{reason}; see `{program()} logs {self._deployment.name}`"
            )
            await asyncio.sleep(pause)

    def _ports(self) -> dict[int, int]:
        wanted = self._deployment.command.ports
        if not self._deployment.fixed_ports:
            return free_ports(wanted)
        # Again: another may have taken one since the run was checked.
        ports.require_free(wanted, f"Deployment {self._deployment.name}")
        return {port: port for port in wanted}

    async def _one_life(self) -> str:
        with closing(StartLog(self._log)) as log:
            return await self._start_and_watch(log)

    async def _start_and_watch(self, log: StartLog) -> str:
        """Start the process and show what it cannot use, until it ends; return how it ended."""
        name, command, loop = self._deployment.name, self._deployment.command, asyncio.get_running_loop()
        self._board.starting(name, "crash" if self._failures.count else "always-on")
        try:
            running = await self._starter.start(
                command,
                (),
                self._ports(),
                deadline=START_SECONDS,
                on_phase=lambda phase, seconds: self._board.phase(name, phase, seconds),
                on_pid=lambda pid: self._board.launched(name, pid),
                on_wait=lambda reason: self._board.set(name, "waking", reason),
            )
        except (StartError, ports.PublicPortError) as err:
            return str(err)
        began = loop.time()
        try:
            while not running.end.done():
                self._board.set(name, "ready", log.problems())
                # Which leaves ``end`` alone when this is cancelled: `stop` waits for it.
                await asyncio.wait({running.end}, timeout=_LOOK_SECONDS)
        finally:
            await stop(running.pod, running.end, self._grace)
        # A crash long after the start is no sign of a broken start, so its pause is short again.
        if loop.time() - began > _STABLE_SECONDS:
            self._failures.reset()
        return exited(running.end.result(), "")
