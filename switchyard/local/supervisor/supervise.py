"""The life of a run: start everything, wait, and stop everything in the order in which no request is lost."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from dataclasses import replace

from switchyard.local.plan import arguments
from switchyard.local.plan.workloads import Deployment, Plan
from switchyard.local.processes import identities
from switchyard.local.processes.identities import Identity
from switchyard.local.processes.temporary import temporary_folder
from switchyard.local.program import LISTEN_VARIABLE
from switchyard.local.status import rotation
from switchyard.local.status.board import ProcessStatus, StatusBoard
from switchyard.local.status.run_directory import Run, StateDirectory, leftovers, remove_temporary
from switchyard.local.supervisor.assembly import Parts, Settings, assemble
from switchyard.telemetry.metrics.families import Phase

logger = logging.getLogger(__name__)

# Called once every port listens, before the first process starts; may subscribe to the board.
OnUp = Callable[[Run, StatusBoard], None]


class RunRecord:
    """Keeps the processes in ``run.json`` up to date."""

    def __init__(self, directory: StateDirectory, run: Run) -> None:
        self._directory = directory
        self.run = run

    def changed(self, name: str, entry: ProcessStatus) -> None:
        self.put(name, entry.pid)

    def phase(self, name: str, phase: Phase, seconds: float) -> None:
        return

    def took(self, rendered: str) -> None:
        """Record that the documents with this fingerprint are in force."""
        self.run = replace(self.run, rendered=rendered)
        self._directory.write(self.run)

    def put(self, name: str, pid: int) -> None:
        """Record that ``name`` is process ``pid``, or has no process if 0."""
        identity = identities.identify(pid) if pid else None
        if self.run.processes.get(name) == identity:
            return
        processes = {other: known for other, known in self.run.processes.items() if other != name}
        self.run = replace(self.run, processes=processes | ({name: identity} if identity else {}))
        self._directory.write(self.run)


class Supervisor:
    """Runs ``plan`` in the current event loop, in the main thread: children die with the thread that started them."""

    def __init__(self, plan: Plan, gateway: Deployment, settings: Settings) -> None:
        self._plan = plan
        self._settings = settings
        me = identities.identify(os.getpid())
        run = Run(
            supervisor=me or Identity(os.getpid(), 0),
            overlay=str(settings.overlay),
            device=settings.device.sentence,
            rendered=settings.rendered,
            run_id=settings.run_id,
            gateway=arguments.loopback_url(
                gateway.command.http_port, "http" if gateway.command.probe == "http" else "https"
            ),
            gateway_name=gateway.name,
            control="",
            listen=settings.environ.get(LISTEN_VARIABLE, ""),
            certificate=str(settings.options.gateway_tls[0]) if settings.options.gateway_tls else "",
            observers=settings.observers.addresses.pages() if settings.observers else {},
            asks_for_keys=bool({**settings.environ, **gateway.command.env}.get("SWITCHYARD_TENANTS")),
        )
        self._record = RunRecord(settings.directory, run)
        self._stop = asyncio.Event()
        self._force = asyncio.Event()

    async def run(self, on_up: OnUp) -> None:
        """Run until SIGTERM, SIGINT or SIGHUP; a second signal kills what is still in flight."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) == signal.SIG_IGN:
                continue  # nohup ignores it on purpose
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal)
        parts = await assemble(self._plan, self._settings, self._record.took)
        self._record.run = replace(self._record.run, control=arguments.loopback_url(parts.control_port))
        # Written before the first process starts, so that a kill at any time leaves a record to clean up by.
        self._settings.directory.write(self._record.run)
        temporary_folder(self._record.run.run_id).mkdir(mode=0o700)
        parts.board.listen(self._record)
        on_up(self._record.run, parts.board)
        deployments = [asyncio.ensure_future(deployment.run()) for deployment in parts.deployments.values()]
        observers = [asyncio.ensure_future(observer.run()) for observer in parts.observers]
        services = asyncio.ensure_future(parts.services.run())
        preload = [asyncio.ensure_future(parts.preload.run())] if parts.preload else []
        followers = [asyncio.ensure_future(rotation.bound(self._settings.directory.logs))]
        followers += [asyncio.ensure_future(one.run()) for one in parts.repository_models]
        followers += [asyncio.ensure_future(published.run()) for published in parts.published_models]
        try:
            await self._until_stopped([*deployments, *observers, services, *preload, *followers])
        finally:
            await _cancelled([*followers, services])
            await self._take_down(parts, deployments, [*preload, *observers])

    def _on_signal(self) -> None:
        (self._force if self._stop.is_set() else self._stop).set()

    async def _until_stopped(self, tasks: list["asyncio.Task[None]"]) -> None:
        """Wait for a signal; a task that ends with an error is a bug of ours and ends the run."""
        stop: asyncio.Future[object] = asyncio.ensure_future(self._stop.wait())
        pending: set[asyncio.Future[object]] = {*tasks, stop}  # type: ignore[arg-type]
        while not stop.done():
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stop}:
                task.result()

    async def _take_down(
        self,
        parts: Parts,
        deployments: list["asyncio.Task[None]"],
        last: list["asyncio.Task[None]"],
    ) -> None:
        """Stop the gateway first, so that no request arrives; then queues, activator, replicas, and who is ``last``."""
        grace = self._settings.grace
        hurry = asyncio.ensure_future(self._kill_when_forced())
        # Before the gateway, which ends with the last of its requests: those that wait would hold it up for all of its
        # grace, and are told sooner that they can go elsewhere.
        parts.services.reject_waiting()
        await _cancelled(deployments)
        # What is in flight finishes, on replicas that stop only afterwards.
        await asyncio.gather(parts.services.drain(grace), parts.control.stop(grace))
        await parts.services.stop()
        # The preloaded parent after its children, which the kernel kills with it; what observes a run after all of it.
        await _cancelled(last)
        await parts.client.aclose()
        hurry.cancel()
        if left := identities.kill(leftovers(self._record.run), within=grace):
            logger.error("processes %s do not end", [identity.pid for identity in left])
        remove_temporary(self._record.run)
        self._settings.directory.forget()  # last: if this process is killed before, the next `up` cleans up by it

    async def _kill_when_forced(self) -> None:
        await self._force.wait()
        identities.kill(leftovers(self._record.run), within=0.0)


async def _cancelled(tasks: list["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            logger.error("a task ended with an error", exc_info=outcome)
