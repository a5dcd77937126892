"""Takes edits of the overlay while it runs, as far as a cluster would without another pod: mounted files."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from switchyard.local.errors import LocalError
from switchyard.local.plan.plan import plan
from switchyard.local.plan.render import documents, fingerprint, render_text
from switchyard.local.plan.workloads import Command, Options, Plan
from switchyard.local.processes.mounts import Mounts

logger = logging.getLogger(__name__)


class Edits:
    """Renders the overlay of a run again; ``on_taken`` gets the fingerprint of what is in force then."""

    def __init__(
        self, planned: Plan, overlay: Path, options: Options, mounts: Mounts, on_taken: Callable[[str], None]
    ) -> None:
        self._plan = planned
        self._overlay = overlay
        self._options = options
        self._mounts = mounts
        self._on_taken = on_taken
        self._lock = asyncio.Lock()

    async def take(self) -> list[str]:
        """Replace the files of edited ConfigMaps and Secrets; return the containers that mount them.

        Raises:
            LocalError: the overlay cannot be planned, or differs in what only another start would change.
        """
        async with self._lock:
            rendered, planned = await asyncio.to_thread(self._planned)
            before, after = _without_files(self._plan), _without_files(planned)
            if other := sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name)):
                raise LocalError(f"in more than the files that it mounts ({', '.join(other)})")
            self._plan = planned
            edited = self._mounts.update(commands(planned))
            self._on_taken(rendered)
        logger.info("mounted files replaced", extra={"containers": edited})
        return edited

    def _planned(self) -> tuple[str, Plan]:
        text = render_text(self._overlay)
        return fingerprint(text), plan(documents(text, self._overlay), self._options)


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
