"""Takes edits of the overlay while it runs, as far as a cluster would without another pod: mounted files."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from switchyard.local.errors import LocalError
from switchyard.local.plan.plan import plan
from switchyard.local.plan.render import documents, fingerprint, render_text
from switchyard.local.plan.workloads import Command, Options, Plan
from switchyard.local.processes.mounts import Mounts
from switchyard.local.processes.startlog import StartLog

# The gateway looks at its files twice a second, and a process that it starts reads them.
_VERDICT_SECONDS = 5.0
_POLL_SECONDS = 0.05

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Taken:
    """The containers whose files were edited, and what the gateway cannot use of them, if anything."""

    edited: list[str]
    problem: str


class Edits:
    """Renders the overlay of a run again; ``on_taken`` gets the fingerprint of what is in force then.

    ``logs`` returns a container's log.
    """

    def __init__(
        self,
        planned: Plan,
        overlay: Path,
        options: Options,
        mounts: Mounts,
        logs: Callable[[str], Path],
        on_taken: Callable[[str], None],
    ) -> None:
        self._plan = planned
        self._logs = logs
        self._overlay = overlay
        self._options = options
        self._mounts = mounts
        self._on_taken = on_taken
        self._lock = asyncio.Lock()

    async def take(self) -> Taken:
        """Replace the files of edited ConfigMaps and Secrets; return who mounts them, and what the gateway says.

        Raises:
            LocalError: the overlay cannot be planned, or differs in what only another start would change.
        """
        async with self._lock:
            rendered, planned = await asyncio.to_thread(self._planned)
            before, after = _without_files(self._plan), _without_files(planned)
            if other := sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)):
                raise LocalError(f"in more than the files that it mounts ({', '.join(other)})")
            self._plan = planned
            assert planned.gateway is not None  # as before, or it would differ
            gateway = planned.gateway.name
            with closing(StartLog(self._logs(gateway))) as log:
                edited = self._mounts.update(commands(planned))
                self._on_taken(rendered)
                logger.info("mounted files replaced", extra={"containers": edited})
                return Taken(edited, await _verdict(log) if gateway in edited else "")

    def _planned(self) -> tuple[str, Plan]:
        text = render_text(self._overlay)
        return fingerprint(text), plan(documents(text, self._overlay), self._options)


async def _verdict(log: StartLog) -> str:
    """Wait until the gateway has said whether it can use edited files, which it may not follow; return why not."""
    loop = asyncio.get_running_loop()
    end = loop.time() + _VERDICT_SECONDS
    while not (problem := log.problems()) and not log.verdicts and loop.time() < end:  # noqa: ASYNC110 - a file
        await asyncio.sleep(_POLL_SECONDS)
    return problem


def commands(planned: Plan) -> Iterator[Command]:
    """Yield every container of a plan."""
    for service in planned.services:
        yield from (service.command, *service.sidecars)
    for deployment in planned.deployments:
        yield deployment.command


def _without_files(planned: Plan) -> Mapping[str, object]:
    services = {
        service.name: replace(service, command=_bare(service.command), sidecars=tuple(map(_bare, service.sidecars)))
        for service in planned.services
    }
    return services | {one.name: replace(one, command=_bare(one.command)) for one in planned.deployments}


def _bare(command: Command) -> Command:
    return replace(command, files={})
