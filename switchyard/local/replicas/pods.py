"""Starts and stops the pods of one service, each with the memory that it needs."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from switchyard.local.memory.plan import Decision
from switchyard.local.memory.room import PATIENCE_SECONDS, Lease, Occupant, Room
from switchyard.local.plan import arguments
from switchyard.local.plan.workloads import Address, Service
from switchyard.local.processes.start import RunningPod, Starter, free_ports, stop
from switchyard.local.replicas.contents import Content
from switchyard.local.status.board import StatusBoard

# Beside a process that serves: it goes on without the other, so nobody waits long for that.
_BESIDE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class LoadedPod:
    """A pod that runs, what it has loaded, and its memory."""

    running: RunningPod
    content: Content
    lease: Lease

    @property
    def address(self) -> Address:
        return self.running.address


class Pods:
    """The pods of one service; ``on_drained`` is called when the last one that was to stop has ended.

    ``grace`` is the seconds in which they stop at the end of a run; one that falls asleep has its service's.
    """

    def __init__(
        self,
        service: Service,
        occupant: Occupant,
        *,
        starter: Starter,
        board: StatusBoard,
        room: Room,
        grace: float,
        on_drained: Callable[[], None],
    ) -> None:
        self._service = service
        self._occupant = occupant
        self._starter = starter
        self._board = board
        self._room = room
        self._grace = grace
        self._on_drained = on_drained
        self._starting: asyncio.Task[LoadedPod] | None = None
        self._draining: set[asyncio.Task[None]] = set()

    def room(self) -> Decision:
        """Return what starting one would mean for the memory of this machine."""
        return self._room.decide(self._needed(self._service))

    async def start(self, content: Content, *, beside: bool = False) -> LoadedPod | None:
        """Wait for memory and start a pod on ``content``, ``beside`` the one that the board shows; one at a time.

        Returns:
            The pod, None if ``call_off`` ended the start.

        Raises:
            StartError: it could not be started.
            NoRoomError: there is no memory for it.
        """
        self._starting = task = asyncio.create_task(self._started(content, beside=beside))
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled() and task.exception() is None:  # it was ready that moment, and nobody takes it
                await self.stop(task.result())
            raise
        finally:
            self._starting = None
        return None if task.cancelled() else task.result()

    async def call_off(self) -> bool:
        """End a start that goes on; return whether there was one, whose processes are gone."""
        if (task := self._starting) is None:
            return False
        task.cancel()
        await asyncio.wait({task})
        return task.cancelled()

    async def _started(self, content: Content, *, beside: bool) -> LoadedPod:
        def on_wait(reason: str) -> None:
            if not beside:
                self._board.set(self._service.name, "waking", reason)

        patience = _BESIDE_SECONDS if beside else PATIENCE_SECONDS
        lease = await self._room.take(
            self._service.name, self._needed(content.service), self._occupant, on_wait, patience=patience
        )
        try:
            running = await self._launched(content, on_wait, beside=beside)
        except BaseException:
            self._room.give_back(lease)
            raise
        lease.pids = running.pod.pids
        running.end.add_done_callback(lambda _: self._room.give_back(lease))
        return LoadedPod(running, content, lease)

    async def _launched(self, content: Content, on_wait: Callable[[str], None], *, beside: bool) -> RunningPod:
        name = self._service.name
        public, *sidecars = content.commands
        return await self._starter.start(
            public,
            sidecars,
            free_ports({port for container in (public, *sidecars) for port in container.ports}),
            deadline=self._service.scale.progress_deadline,
            on_phase=lambda phase, seconds: self._board.phase(name, phase, seconds),
            on_pid=lambda pid: None if beside else self._board.launched(name, pid),
            on_wait=on_wait,
        )

    def _needed(self, service: Service) -> int:
        """Return what a process needs: its folder says it, but for the KV cache where the command line gives one."""
        folder = self._board.folder(service.name)
        if folder is None or folder.facts is None:
            return 0
        memory, given = folder.facts.memory, arguments.kv_cache_bytes(service.command.argv)
        if given is None or not memory.kv_cache:  # an encoder keeps none
            return memory.total
        return memory.weights + given + memory.overhead

    async def stop(self, pod: LoadedPod) -> None:
        """Stop a pod within the grace of the end of a run."""
        await stop(pod.running.pod, pod.running.end, self._grace)

    def stop_later(self, pod: LoadedPod) -> None:
        """Let a pod finish what it has and end; the next one may start beside it, as pods do."""
        pod.lease.ending = True
        # In a task of its own: Triton takes four seconds to exit, for which the next request would otherwise wait.
        task = asyncio.create_task(stop(pod.running.pod, pod.running.end, self._service.command.grace))
        self._draining.add(task)
        task.add_done_callback(self._drained)

    def _drained(self, task: "asyncio.Task[None]") -> None:
        self._draining.discard(task)
        if not self._draining and not task.cancelled():
            self._on_drained()

    async def finish(self) -> None:
        """Wait for those that were to stop, and kill them when the grace is over."""
        if self._draining:
            _, late = await asyncio.wait(tuple(self._draining), timeout=self._grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
