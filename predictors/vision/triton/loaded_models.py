"""Which models are in memory: loaded by the first request that needs them, unloaded when idle, never while in use."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Protocol

from predictors.vision.refusal import Refused
from predictors.vision.triton.client import Control, control_request
from predictors.vision.triton.model_config import Description, describe
from predictors.vision.triton.resident import RETRY_SECONDS, Resident

logger = logging.getLogger(__name__)


class Server(Protocol):
    """What residency needs of Triton; each raises ``Refused``."""

    async def index(self) -> dict[str, bool]: ...
    async def config(self, model: str) -> Mapping[str, Any]: ...
    async def control(self, method: Control, request: bytes) -> None: ...


class Residency:
    """The one account of what Triton has loaded.

    A request waits at most ``wait_seconds`` for its model, and at most ``max_waiting`` requests do. A model that has
    been idle for ``idle_seconds`` (0: never) is unloaded, and with it those of its steps that no loaded model needs.
    """

    def __init__(self, triton: Server, *, idle_seconds: float, wait_seconds: float, max_waiting: int) -> None:
        self._triton = triton
        self._idle = idle_seconds
        self._wait = wait_seconds
        self._max_waiting = max_waiting
        self._waiting = 0
        self._models: dict[str, Resident] = {}
        self._now: Callable[[], float] = asyncio.get_running_loop().time

    def knows(self, name: str) -> bool:
        """Whether the repository is known to have, or to have had, this model."""
        return name in self._models

    @asynccontextmanager
    async def use(self, name: str) -> AsyncIterator[Description]:
        """Loads the model and its steps when they are not, and keeps them loaded for the duration of the block.

        Raises:
            Refused: 404 no such model; 503 it cannot be loaded, or not in time, or too many requests wait already.
        """
        model = self._models.get(name)
        if model is None or not self._complete(model):
            model = await self._wait_for(name)
        assert model.description is not None
        with self._held(model):
            yield model.description

    def loaded(self, name: str) -> Description | None:
        """What the model says about itself if it and its steps are loaded."""
        model = self._models.get(name)
        return model.description if model is not None and self._complete(model) else None

    def take(self, name: str) -> None:
        """As ``use``, until ``give_back``, of a model that is loaded."""
        self._models[name].users += 1

    def give_back(self, name: str) -> None:
        """The end of what ``take`` began."""
        model = self._models[name]
        model.users -= 1
        model.used = self._now()

    async def load(self, name: str, request: bytes) -> None:
        """Does what a client's own load request says; a loaded model keeps answering until the new one is ready.

        Raises:
            Refused: with Triton's reason.
        """
        model = await self._find(name)
        if model is None:
            raise Refused(404, f"failed to load {name!r}: the repository has no such model")
        await model.settled()
        await asyncio.shield(self._start(model, self._load(model, request)))
        await self._bring_steps(model, frozenset())

    async def unload(self, name: str, request: bytes) -> None:
        """Does what a client's own unload request says.

        Raises:
            Refused: 404 no such model; 409 a loaded model needs it.
        """
        model = await self._find(name)
        if model is None:
            raise Refused(404, f"failed to unload {name!r}: the repository has no such model")
        await model.settled()
        if needing := ", ".join(other.name for other in self._models.values() if other.needs(name)):
            raise Refused(409, f"model {name!r} is a step of {needing}, which is loaded or in use: unload that first")
        model.parked = True
        await asyncio.shield(self._unload(model, request))
        await self.synchronise()

    async def ready(self, name: str) -> bool:
        """Whether a request for it would be answered; loads it to find out only when it has never been loaded.

        Raises:
            Refused: as ``use``.
        """
        model = await self._find(name)
        if model is None:
            raise _unknown(name)
        if model.parked:
            return False
        if not model.proven:
            await self._wait_for(name)
        return True

    async def synchronise(self) -> None:
        """Takes over what Triton has: at its start, when it was started anew, and after a client unloaded something.

        Raises:
            Refused: Triton does not answer.
        """
        index = await self._triton.index()
        for name, loaded in index.items():
            model = self._models.setdefault(name, Resident(name=name))
            if model.work is None and not loaded:
                model.description = None
            elif model.work is None and model.description is None:
                await self._note_loaded(model)
        for name in self._models.keys() - index.keys():
            self._models[name].description = None

    def forget(self) -> None:
        """Triton is gone, and with it all that was loaded."""
        for model in self._models.values():
            model.description = None
            model.failure = ""

    async def run(self) -> None:
        """Unloads what is idle, until cancelled."""
        while self._idle:
            await asyncio.sleep(min(self._idle / 4, 5.0))
            try:
                await self.sweep()
            except Refused as err:
                logger.warning("idle models stay loaded", extra={"reason": err.sentence})

    async def sweep(self) -> None:
        """Unloads what has been idle for long enough; steps after the models that needed them.

        Raises:
            Refused: Triton does not answer.
        """
        while idle := [model for model in self._models.values() if self._is_idle(model)]:
            for model in idle:
                if self._is_idle(model):  # while the one before it was unloaded, somebody may have come
                    logger.info("unloading %s", model.name, extra={"model": model.name, "idle_seconds": self._idle})
                    await asyncio.shield(self._unload(model, control_request(model.name, {})))

    @contextmanager
    def _held(self, model: Resident) -> Iterator[None]:
        model.users += 1
        try:
            yield
        finally:
            self.give_back(model.name)

    def _is_idle(self, model: Resident) -> bool:
        if model.description is None or model.users or model.work or self._now() - model.used < self._idle:
            return False
        return not any(other.needs(model.name) for other in self._models.values())

    def _complete(self, model: Resident, above: frozenset[str] = frozenset()) -> bool:
        """Whether the model and all its steps are loaded; ``above`` are those whose step it is."""
        if model.description is None:
            return False
        if not model.steps:
            return True
        above |= {model.name}
        steps = [self._models.get(step) for step in model.steps if step not in above]
        return all(step is not None and self._complete(step, above) for step in steps)

    async def _wait_for(self, name: str) -> Resident:
        if self._waiting >= self._max_waiting:
            raise Refused(503, f"{self._waiting} requests wait for models to be loaded; try again shortly")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._wait):
                model = await self._find(name)
                if model is None:
                    raise _unknown(name)
                with self._held(model):  # or a sweep would take it away while its steps are loaded
                    while not self._complete(model):
                        await asyncio.gather(self._bring(model), self._bring_steps(model, frozenset()))
                return model
        except TimeoutError as err:
            raise Refused(503, f"model {name!r} is still being loaded after {self._wait:g} s; try again") from err
        finally:
            self._waiting -= 1

    async def _find(self, name: str) -> Resident | None:
        """Looks into the repository when the model is not loaded: folders come and go."""
        model = self._models.get(name)
        if model is not None and (model.description is not None or model.work is not None):
            return model
        if name not in await self._triton.index():
            return None
        return self._models.setdefault(name, Resident(name=name))

    async def _bring(self, model: Resident) -> None:
        """Returns when the model is loaded; loads it once, however many wait, and goes on when they give up."""
        while model.description is None:
            if model.work is None:
                if model.failure and self._now() < model.retry_at:
                    raise model.unloadable()
                self._start(model, self._load(model, control_request(model.name, {})))
            assert model.work is not None
            try:
                await asyncio.shield(model.work)
            except Refused as err:
                raise (model.unloadable() if model.failure else err) from err

    async def _bring_steps(self, model: Resident, above: frozenset[str]) -> None:
        above |= {model.name}
        await asyncio.gather(*(self._bring_step(step, above) for step in model.steps if step not in above))

    async def _bring_step(self, name: str, above: frozenset[str]) -> None:
        step = await self._find(name)
        if step is None:
            raise Refused(503, f"the repository lacks the model {name!r}, which {' and '.join(above)} needs")
        await asyncio.gather(self._bring(step), self._bring_steps(step, above))

    def _start(self, model: Resident, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        async def run() -> None:
            try:
                await work
            finally:
                model.work = None

        model.work = task = asyncio.create_task(run())
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # who asked for it may have left
        return task

    async def _load(self, model: Resident, request: bytes) -> None:
        began = self._now()
        model.failure = ""
        try:
            await self._triton.control("RepositoryModelLoad", request)
        except Refused as err:
            if err.status != 503 and model.description is None:
                model.failure = err.sentence
                model.retry_at = self._now() + RETRY_SECONDS
            logger.error("model %s cannot be loaded", model.name, extra={"model": model.name, "reason": err.sentence})
            raise
        await self._note_loaded(model)
        seconds = round(self._now() - began, 3)
        logger.info("loaded %s", model.name, extra={"model": model.name, "seconds": seconds})

    def _unload(self, model: Resident, request: bytes) -> "asyncio.Task[None]":
        """Whoever comes from now on, before the order goes out, has it loaded again."""
        model.description = None
        return self._start(model, self._triton.control("RepositoryModelUnload", request))

    async def _note_loaded(self, model: Resident) -> None:
        model.description = describe(await self._triton.config(model.name))
        model.steps = model.description.steps
        model.used = self._now()
        model.parked = False
        model.proven = True


def _unknown(name: str) -> Refused:
    return Refused(404, f"the repository has no model {name!r}; POST /v2/repository/index lists what it has")
