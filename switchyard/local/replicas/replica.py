"""The life of one service's process: asleep → waking → ready → draining → asleep, or failed with a reason."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from switchyard.http.api_errors import ApiError
from switchyard.http.client import Client
from switchyard.local.activator.request_queue import QueueLimits, RequestQueue
from switchyard.local.memory.plan import Fits, Never
from switchyard.local.memory.room import NoRoomError, Room
from switchyard.local.plan.workloads import Service
from switchyard.local.processes.start import Starter, StartError
from switchyard.local.processes.startlog import PodLog
from switchyard.local.replicas.contents import Contents
from switchyard.local.replicas.loads import Loads
from switchyard.local.replicas.model_folder import ModelFolder
from switchyard.local.replicas.pods import LoadedPod, Pods
from switchyard.local.replicas.recovery import Recovery
from switchyard.local.replicas.watch import Watch
from switchyard.local.status.board import StatusBoard
from switchyard.telemetry.metrics.local import LocalMetrics

_STABLE_SECONDS = 10.0  # a process that was ready this long did not crash at its start

logger = logging.getLogger(__name__)


class Replica:
    """Runs one service's process while it is wanted; a stop by ``cancel`` takes at most ``grace`` seconds.

    After a failure the next attempt waits 0.5 s, doubling to 30 s. The third failure in a row, or one that another
    attempt would repeat, fails the service: waiting requests are rejected with the reason, and new ones for
    ``recovery.REJECTING_SECONDS``. The next request, or with minReplicas the end of the pause, starts it again.

    A process keeps the content of the model's folder that it began with; newer content is loaded by the next one, which
    is started beside it if it is awake. Content that cannot be loaded leaves the one before it in its place.
    """

    def __init__(
        self,
        service: Service,
        *,
        contents: Contents,
        starter: Starter,
        client: Client,
        board: StatusBoard,
        metrics: LocalMetrics,
        logs: Sequence[Path],
        room: Room,
        limits: QueueLimits,
        grace: float,
    ) -> None:
        self._service = service
        self._board = board
        self._logs = logs
        self._contents = contents
        self.folder = ModelFolder(service, board)
        self._wanted = asyncio.Event()
        self._asked = ""
        self._cause = "request"
        self.queue = RequestQueue(
            service.name,
            concurrency=service.scale.concurrency,
            limits=limits,
            demand=self._wanted.set,
            on_waiting=lambda count: metrics.held.labels(service.name).set(count),
        )
        metrics.follow(service.name, self.queue.oldest_seconds)
        self._recovery = Recovery(service, self.queue, board)
        self._watch = Watch(service, self.queue, client)
        self._pods = Pods(
            service,
            self._watch,
            starter=starter,
            board=board,
            room=room,
            grace=min(grace, service.command.grace),
            on_drained=self._drained,
        )
        self._serving: LoadedPod | None = None
        self._loads = Loads()

    def renew(self, service: Service) -> None:
        """Take the newest content of the model's folder, for which the service was planned anew."""
        self._contents.renew(service)
        if self._serving is not None:
            self._watch.renewed.set()
        else:
            self._board.revise(self._service.name, self._contents.next.revision)
            self.try_out()

    def try_out(self) -> None:
        """Start the process once without a request, if no other has to sleep: its warm-up tells if it can be served."""
        decision = self._pods.room()
        if decision == Fits() or isinstance(decision, Never):  # which is told, too
            self._ask("content")

    def _ask(self, cause: str) -> None:
        self._asked = cause
        self._wanted.set()

    async def load(self) -> None:
        """Start the process unless it runs, and return when it is ready; content that failed is tried again.

        Raises:
            ApiError: it cannot be served, and why.
        """
        if reason := self._service.blocked:
            raise self._failure(reason)
        self._contents.retry()
        loaded = self._loads.add()
        if self._serving is not None:
            self._watch.renewed.set()
        else:
            self._ask("load")
        await loaded

    async def unload(self) -> None:
        """Let the process finish what it has, or end one that is only starting; return when it has ended.

        Raises:
            ApiError: it is to run always, or is about to be started.
        """
        name, serving = self._service.name, self._serving
        if self._watch.pinned:
            raise ApiError("model_in_use", f"{name} is to stay loaded: its service has minReplicas or is pinned")
        if serving is not None:
            self._watch.dismissed.set()
        was_starting = await self._pods.call_off()
        if serving is not None:
            await asyncio.wait({serving.running.end})
        elif not was_starting and self._board.entries[name].state == "waking":
            raise ApiError("model_not_ready", f"{name} is about to be started; unload it in a moment")

    def drain(self, error: Callable[[], ApiError]) -> None:
        """Reject with ``error`` whoever waits for a process, and from now on whoever would have to."""
        self.queue.drain(error)
        self._loads.drain(error)

    async def run(self) -> None:
        """Keep the service in its wanted state until cancelled, then stop its process."""
        if reason := self._service.blocked:
            self._board.set(self._service.name, "failed", reason, blocked=True)
            self.queue.reject(lambda: self._failure(reason))
            return  # for the rest of the run: only other documents would help, and `up` reads them once
        self.folder.tell()
        self._board.revise(self._service.name, self._contents.next.revision)
        if notice := self._contents.notice:
            self._board.set(self._service.name, "asleep", notice)
        try:
            while True:
                await self._demand()
                self._board.starting(self._service.name, self._cause)
                died, final = await self._one_life()
                if died:
                    await self._recovery.wait(died, final=final)
        finally:
            self._loads.end(ApiError("shutting_down", f"{self._service.name} is being stopped"))
            await self._pods.finish()

    async def _demand(self) -> None:
        """Wait until a process is wanted: because a request waits, or always, once a pause after a failure is over."""
        always_on = self._service.scale.minimum > 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self._recovery.next_start if always_on else None):
                # The event only wakes this loop; the queue decides. Who set it may have disconnected during a pause,
                # and a model is not started for nobody.
                while not self.queue.waiting and not self._asked:
                    self._wanted.clear()
                    await self._wanted.wait()
        begun = "always-on" if always_on else "request" if self.queue.waiting else self._asked
        self._cause = "crash" if self._recovery.goes_on else begun

    async def _one_life(self) -> tuple[str, bool]:
        """Start a process and serve by it; return why that ended, empty if it fell asleep, and whether that lasts."""
        asked, self._asked = self._asked, ""
        content = None
        try:
            await self.folder.wait()
            content = self._contents.next
            pod = await self._pods.start(content)
        except NoRoomError as err:  # which says nothing of the content
            self._board.start_failed(self._service.name)
            self._loads.end(self._failure(str(err)))
            return str(err), True
        except StartError as err:
            self._board.start_failed(self._service.name)
            self._loads.end(self._failure(str(err)))
            if content is not None and self._contents.failed(content, str(err)):
                self._fall_back()
                return "", False
            return str(err), err.final or bool(asked)
        if pod is None:
            self._call_off()
            self._board.set(self._service.name, "asleep", self._contents.notice)
            return "", False
        self._contents.loaded(content)
        return await self._serve(pod), False

    def _call_off(self) -> None:
        """Tell those who wait for a model that was unloaded, as each of them would start it again."""
        self._asked = ""
        error = partial(ApiError, "model_not_ready", f"{self._service.name} was unloaded while it was being started")
        self._loads.end(error())
        self.queue.turn_away(error)

    def _failure(self, reason: str) -> ApiError:
        return ApiError("model_failed", f"{self._service.name}: {self._board.for_clients(reason)}")

    def _fall_back(self) -> None:
        """Say that the content before the newest is served; whoever waits gets a process of that at once."""
        logger.warning("%s: %s", self._service.name, self._contents.notice)
        self._board.decided(self._service.name, "waking" if self.queue.waiting else "asleep", self._contents.notice)

    async def _serve(self, pod: LoadedPod) -> str:
        """Admit requests until the process is idle or dies; return why it died, or an empty string."""
        log = PodLog(self._logs)  # opened here, so that the reason of a death is the last message before it
        began, responses = asyncio.get_running_loop().time(), self.queue.responses
        self._serving = pod
        self._asked = ""
        if self._contents.next != pod.content:  # there was newer content while this was loaded
            self._watch.renewed.set()
        else:
            self._loads.end()
        self._board.revise(self._service.name, pod.content.revision)
        self._board.set(self._service.name, "ready", self._contents.notice)
        self.queue.open(pod.address)
        try:
            while (outcome := await self._watch.until(pod.running)) == "renewed":
                self._serving = pod = await self._replaced(pod)
            # Nothing may be awaited between `until`'s look at the queue and this line: a request that is admitted in
            # between would be sent to a process that is told to end.
            self.queue.close()
            if outcome == "unneeded":
                self._recovery.end()
                self._board.set(self._service.name, "draining", self._contents.notice)
                self._pods.stop_later(pod)
                return ""
            if self.queue.responses > responses or asyncio.get_running_loop().time() - began > _STABLE_SECONDS:
                self._recovery.end()
            self._board.exited(self._service.name, pod.running.end.result())
            return str(pod.running.failure(log))
        except BaseException:  # a cancellation, mostly: nobody else would stop the process
            await self._pods.stop(pod)
            raise
        finally:
            log.close()
            self.queue.close()
            self._serving = None
            self._watch.dismissed.clear()

    async def _replaced(self, old: LoadedPod) -> LoadedPod:
        """Start a process on the newest content beside ``old``; return which of them serves from now on."""
        self._watch.renewed.clear()
        newest, name = self._contents.next, self._service.name
        if newest == old.content:
            self._board.decided(name, "ready", self._contents.notice)  # a newer one may have failed, and gone
            self._loads.end()
            return old
        try:
            if (new := await self._pods.start(newest, beside=True)) is None:
                self._loads.end(ApiError("model_not_ready", f"{name} was unloaded while its content was being loaded"))
                return old
        except NoRoomError as err:
            self._replace_later(err)
            return old
        except StartError as err:
            self._board.start_failed(name)
            self._loads.end(self._failure(str(err)))
            if self._contents.failed(newest, str(err)):
                logger.warning("%s: %s", name, self._contents.notice)
                self._board.decided(name, "ready", self._contents.notice)
            return old
        self._contents.loaded(newest)
        self._loads.end()
        self._board.revise(name, newest.revision)
        self._board.replaced(name, new.running.pod.pid)
        self.queue.open(new.address)
        # What is in flight there goes on: the process finishes it before it ends.
        self._pods.stop_later(old)
        return new

    def _replace_later(self, err: NoRoomError) -> None:
        """Take the newest content in the place of what serves, as there is no memory for both: once that is idle."""
        if self.queue.busy:
            told = f"the newest content of its folder is loaded when it next wakes: beside it, that {err}"
            self._loads.end(self._failure(told))
            self._board.decided(self._service.name, "ready", told)
        else:
            self._ask("content")
            self._watch.dismissed.set()

    def _drained(self) -> None:
        if self._board.entries[self._service.name].state == "draining":
            self._board.set(self._service.name, "asleep", self._contents.notice)
