"""Follows the model repository: a service for each language or embedding model that was published and has none."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from switchyard.catalog import Model
from switchyard.local.errors import LocalError
from switchyard.local.plan.arguments import kv_cache_bytes
from switchyard.local.plan.plan import plan_service
from switchyard.local.plan.render import Document
from switchyard.local.plan.scale import SCALE_DOWN_DELAY
from switchyard.local.plan.workloads import Options, Service
from switchyard.local.status.board import StatusBoard
from switchyard.local.supervisor.services import Services
from switchyard.repository.served import ServedFile
from switchyard.repository.service import Place, UnservableError, derived
from switchyard.repository.status import STATUS, ModelStatus, StatusError, StatusFile
from switchyard.repository.verdict import Facts, FaultCode

POLL_SECONDS = 0.2  # a stat of one file: a thousandth of what a start takes

logger = logging.getLogger(__name__)


class ServicePlanner:
    """Plans the service of a published model by the ``documents`` of the overlay that runs.

    Its runtime is the one that they have, with what components changed of it; so are its namespace and, as idle models
    of one overlay are to sleep alike, its scale-down delay.
    """

    def __init__(self, documents: Sequence[Document], options: Options) -> None:
        self._documents = documents
        self._options = options
        self._place = _place(documents)

    def __call__(self, name: str, facts: Facts) -> Service:
        """Plan the service of ``llm/<name>``.

        Raises:
            LocalError: the overlay has no runtime for it.
        """
        try:
            document = derived(name, facts, self._place)
        except UnservableError as err:
            raise LocalError(str(err)) from err
        return plan_service(document, self._documents, self._options)


def _place(documents: Sequence[Document]) -> Place:
    services = [document for document in documents if document["kind"] == "InferenceService"]
    namespaces = [str(document["metadata"].get("namespace", "")) for document in services]
    annotations = [document["spec"]["predictor"].get("annotations") or {} for document in services]
    delays = [str(found[SCALE_DOWN_DELAY]) for found in annotations if SCALE_DOWN_DELAY in found]
    return Place(
        namespace=namespaces[0] if namespaces else "",
        # The smallest: most often all are the same.
        scale_down_delay=min(delays, default="0s"),
        kv_cache=max((_kv_cache(document) for document in documents), default=0),
    )


def _kv_cache(document: Document) -> int:
    """Return the KV cache that a runtime gives each model, 0 if it says nothing, or is none."""
    if document["kind"] not in ("ClusterServingRuntime", "ServingRuntime"):
        return 0
    args = [str(arg) for container in document["spec"]["containers"] for arg in container.get("args") or ()]
    return kv_cache_bytes(args) or 0


class PublishedModels:
    """Keeps the services of a run in step with ``status.json``; models that documents declare keep their own.

    A folder of which nothing is published is listed with the reason, under a row of its own.
    """

    def __init__(
        self,
        published: Path,
        *,
        declared: Sequence[Service],
        planner: Callable[[str, Facts], Service],
        services: Services,
        board: StatusBoard,
    ) -> None:
        self._path = published / STATUS
        self._file = StatusFile(published)
        self._loaded = ServedFile(published)
        # By folder: several services may serve one model, each by a name and settings of its own.
        self._users: dict[str, list[Service]] = {}
        for service in declared:
            if service.model_dir is not None and service.model_dir.parent == published / "llm":
                self._users.setdefault(service.model_dir.name, []).append(service)
        self._planner = planner
        self._services = services
        self._board = board
        self._problem = ""
        self._known: dict[str, ModelStatus] = {}
        self._served: dict[str, Service] = {}
        self._at_work: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Follow the repository until cancelled; one that cannot be read leaves everything as it is."""
        # What is new while this runs is tried out; what was published before has been.
        new = not self._path.exists()
        if new:  # a first run: requests wait until what is there has been checked
            for name in self._users:
                self._known[name] = ModelStatus(group="llm", name=name, phase="checking")
                await self._follow(name, self._known[name], new=new)
        try:
            while True:
                if self._path.exists():
                    self._look(new=new)
                    new = True
                await asyncio.sleep(POLL_SECONDS)
        finally:
            for task in self._at_work.values():
                task.cancel()
            await asyncio.gather(*self._at_work.values(), return_exceptions=True)

    def _look(self, *, new: bool) -> None:
        try:
            found = {status.name: status for status in self._file.current().of_group("llm")}
        except (StatusError, OSError) as err:
            if str(err) != self._problem:
                logger.error("the repository's status cannot be read", extra={"reason": str(err)})
            self._problem = str(err)
            return
        self._problem = ""
        for name in found.keys() | self._known.keys():
            # One change of a model at a time; a later one is seen at a later look.
            if found.get(name) != self._known.get(name) and name not in self._at_work:
                self._begin(name, found.get(name), new=new)

    def _begin(self, name: str, status: ModelStatus | None, *, new: bool) -> None:
        task = asyncio.create_task(self._follow(name, status, new=new))
        self._at_work[name] = task

        def done(task: "asyncio.Task[None]") -> None:
            del self._at_work[name]
            if not task.cancelled() and (err := task.exception()):
                logger.error("a published model could not be followed", extra={"model": name}, exc_info=err)
            if status is None:
                self._known.pop(name, None)
            else:
                self._known[name] = status

        task.add_done_callback(done)

    async def _follow(self, name: str, status: ModelStatus | None, *, new: bool) -> None:
        """Bring one model to what its folder's status says."""
        users, renewed = self._users.get(name, ()), _is_renewed(self._known.get(name), status)
        for user in users:
            self._board.follow(user.name, status)
            self._services.look(user.name)
            if renewed:
                self._services.renew(user)
        if name in (user.name for user in users):
            return
        service, problem = self._planned(name, status)
        before = self._served.get(name)
        if before is not None and (service is None or before.model.kind != service.model.kind):
            del self._served[name]
            await self._services.remove(name)
            self._loaded.forget(name)
        if not self._taken(name):
            self._board.follow(name, status)
        if service is not None and name in self._served and renewed:
            self._services.renew(service)
        elif service is not None and name not in self._served:
            await self._services.add(service, self._planned_before(name, service))
            if new:
                self._services.try_out(name)
        if service is not None:
            self._served[name] = service
        self._list_unserved(name, status if service is None else None, problem)

    def _planned(self, name: str, status: ModelStatus | None) -> tuple[Service | None, str]:
        """Return the service for what is published, or why there is none."""
        if status is None:
            return None, ""
        if self._taken(name):
            if status.code is FaultCode.NAME:  # which says whose it is
                return None, status.sentence
            return None, f"the name {name} belongs to another part of this platform; give the folder another name"
        if status.facts is None:
            return None, status.sentence if status.phase == "failed" else ""
        try:
            return self._planner(name, status.facts), ""
        except LocalError as err:
            return None, str(err)

    def _planned_before(self, name: str, service: Service) -> Service | None:
        """Return the service for what an earlier run loaded last; None, and it is forgotten, if it cannot be that."""
        facts = self._loaded.facts(name)
        with suppress(LocalError):
            if facts and (before := self._planner(name, facts)).model.kind == service.model.kind:
                return before
        self._loaded.forget(name)
        return None

    def _taken(self, name: str) -> bool:
        return name not in self._served and name in self._board.entries

    def _list_unserved(self, name: str, status: ModelStatus | None, problem: str) -> None:
        """List a folder that is not served, in a row of its own; None if there is none, or it is served."""
        row = f"llm/{name}"
        if row in self._board.entries and status is None:
            self._board.remove(row)
        if status is None:
            return
        listed = row if self._taken(name) else name
        # First, or a new folder would be listed for a moment as if it were served.
        self._board.follow_all(row, {listed: status})
        if row not in self._board.entries:
            self._board.add(row, [Model(name=listed, kind="llm", url="")])
        self._board.set(row, "failed" if problem else "asleep", problem or status.sentence, blocked=bool(problem))


def _is_renewed(known: ModelStatus | None, status: ModelStatus | None) -> bool:
    """Whether another content is published in the place of one that was."""
    return bool(known and status and known.digest and status.digest and known.digest != status.digest)
