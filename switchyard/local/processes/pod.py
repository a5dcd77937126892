"""The processes of one pod's containers, which start and end together."""

import asyncio
from collections.abc import Sequence

from switchyard.local.processes.launch import Process

# Nothing is in flight in them any more, and Triton takes four seconds. It waits for all of its exit timeout, 30 s, once
# it could not load a newer content of a model.
_SIDECAR_SECONDS = 10.0


class Pod:
    """A ``Process`` made of processes: the first container takes requests, the others serve it.

    A pod ends when any of its containers ends. (A kubelet would restart only that container; here the pod is
    restarted.) When a stopped pod's first container has ended, the others are killed after ``sidecar_seconds``.
    """

    def __init__(
        self, public: Process, others: Sequence[Process], *, sidecar_seconds: float = _SIDECAR_SECONDS
    ) -> None:
        self._sidecar_seconds = sidecar_seconds
        self._public = public
        self._others = others
        self._ends = [asyncio.ensure_future(process.wait()) for process in (public, *others)]
        self._ended = asyncio.ensure_future(self._take_down())
        self._stopping = False
        self.first_to_end = 0

    @property
    def pid(self) -> int:
        return self._public.pid

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes of all containers, that of the public one first."""
        return tuple(process.pid for process in (self._public, *self._others))

    async def wait(self) -> int:
        return await asyncio.shield(self._ended)

    def terminate(self) -> None:
        """Terminate the public container first and the others after it has ended, because it works through them."""
        self._stopping = True
        self._public.terminate()

    def kill(self) -> None:
        for process in (self._public, *self._others):
            process.kill()

    async def _take_down(self) -> int:
        done, _ = await asyncio.wait(self._ends, return_when=asyncio.FIRST_COMPLETED)
        first = next(end for end in self._ends if end in done)
        self.first_to_end = self._ends.index(first)
        # The sidecars may end only after the public container, which works through them. (The kubelet sends SIGTERM to
        # all containers of a pod at once, unless they are declared as sidecars.)
        if self._stopping and self.first_to_end == 0:
            for process in self._others:
                process.terminate()
            if (await asyncio.wait(self._ends, timeout=self._sidecar_seconds))[1]:
                for process in self._others:
                    process.kill()
        else:  # a crash: the others have nothing to finish
            self.kill()
        await asyncio.wait(self._ends)
        return first.result()
