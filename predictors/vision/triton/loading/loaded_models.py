"""Which models Triton has loaded: loaded by the first request, unloaded when idle, never while in use."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

from predictors.vision.triton.control import ModelControl, control_request
from predictors.vision.triton.loading.model_state import ModelState, ended_models, unknown
from predictors.vision.triton.loading.operations import Operations
from predictors.vision.triton.loading.residency import UNLIMITED, Limits, Residency
from predictors.vision.triton.model_config import ModelConfig
from switchyard.http.api_errors import ApiError
from switchyard.telemetry.metrics.predictors import InferenceMetrics

logger = logging.getLogger(__name__)


class LoadedModels:
    """Loads and unloads models, and is the only place that knows which are loaded.

    A request waits at most ``wait_seconds`` for its model, and at most ``max_waiting`` requests do. A model that has
    been idle for ``idle_seconds`` (0: never) is unloaded, together with the dependencies that no other loaded model
    needs, and before that if a load would exceed ``limits``.
    """

    def __init__(
        self,
        triton: ModelControl,
        metrics: InferenceMetrics,
        *,
        idle_seconds: float,
        wait_seconds: float,
        max_waiting: int,
        limits: Limits = UNLIMITED,
    ) -> None:
        self._triton = triton
        self._operations = Operations(triton, metrics)
        self._wait = wait_seconds
        self._max_waiting = max_waiting
        self._waiting = 0
        self._models: dict[str, ModelState] = {}
        self.residency = Residency(
            self._models, self._operations, triton.memory, idle_seconds=idle_seconds, limits=limits
        )
        self._now: Callable[[], float] = asyncio.get_running_loop().time

    def knows(self, name: str) -> bool:
        """Whether the repository has, or has had, this model."""
        return name in self._models

    def states(self) -> Mapping[str, ModelState]:
        """Return what is known of each model."""
        return self._models

    def contents(self) -> Mapping[str, str]:
        """Return which published content Triton has of each model that it has loaded, empty if nobody knows."""
        return {name: model.content for name, model in self._models.items() if model.config or model.content}

    @asynccontextmanager
    async def use(self, name: str) -> AsyncIterator[ModelConfig]:
        """Load the model and its dependencies if necessary, and keep them loaded for the duration of the block.

        Raises:
            ApiError: 404 no such model; 503 it cannot be loaded, or not in time, or too many requests are waiting.
        """
        model = self._models.get(name)
        if model is None or not self._is_loaded(model):
            model = await self._wait_for(name)
        # No await between the look and ``_held``: a sweep that ran in between could unload the model. The same holds
        # after ``_wait_for``, whose own hold has just ended.
        assert model.config is not None
        with self._held(model):
            yield model.config

    def loaded(self, name: str) -> ModelConfig | None:
        """Return the model's configuration if it and its dependencies are loaded."""
        model = self._models.get(name)
        return model.config if model is not None and self._is_loaded(model) else None

    def acquire(self, name: str) -> None:
        """Keep a loaded model loaded until ``release``."""
        self._models[name].users += 1

    def release(self, name: str) -> None:
        """End the use that ``acquire`` began."""
        model = self._models[name]
        model.users -= 1
        model.used = self._now()

    async def load(self, name: str, override: str = "") -> None:
        """Execute a client's load request; a loaded model keeps serving until the new one is ready.

        ``override`` is JSON of fields that take the place of the configuration's own until the next load or unload.

        Raises:
            ApiError: with Triton's reason.
        """
        model = await self._find(name)
        if model is None:
            raise ApiError("model_not_found", f"failed to load {name!r}: the repository has no such model")
        if override:
            await self._ensure_loaded(model)  # as its folder says: what is left out of the override is that
        await model.settled()
        if model.config is None:
            await self.residency.make_room(model)
        work = self._operations.override(model, override) if override else self._operations.load(model)
        # Shielded: a client that disconnects must not leave Triton loading a model that nobody accounts for.
        await asyncio.shield(work)
        await self._ensure_dependencies(model, frozenset())

    async def unload(self, name: str, request: bytes) -> None:
        """Execute a client's unload request.

        Raises:
            ApiError: 404 no such model; 409 a loaded model needs it.
        """
        model = await self._find(name)
        if model is None:
            raise ApiError("model_not_found", f"failed to unload {name!r}: the repository has no such model")
        await model.settled()
        # From ``settled`` to the unload nothing awaits, so no load can begin in between. Users of the model itself do
        # not matter: Triton lets what it has begun finish.
        if needing := self.residency.needing(name):
            message = f"model {name!r} is a step of {', '.join(needing)}, which is loaded or in use: unload that first"
            raise ApiError("model_in_use", message)
        model.unloaded_by_client = True
        await asyncio.shield(self._operations.unload(model, request))
        await self.synchronize()

    async def reload(self, name: str) -> None:
        """Load a loaded model anew if its content is another; it serves until that is ready, and goes on if it fails.

        Raises:
            ApiError: with Triton's reason.
        """
        if (model := self._models.get(name)) is None:
            return
        await model.settled()  # what is being loaded may be the content before
        if model.config is not None and model.content != self._triton.content(name):
            await asyncio.shield(self._operations.reload(model))
            await self._ensure_dependencies(model, frozenset())

    async def remove(self, name: str) -> None:
        """Unload a model whose folder is gone, unless a loaded model needs it.

        Raises:
            ApiError: Triton does not respond.
        """
        model = self._models[name]
        await model.settled()
        # Also where it is not known to be loaded: an index that was read meanwhile did not have it any more.
        if not self.residency.needing(name):
            logger.info("unloading %s: its folder was removed", name, extra={"model": name})
            await asyncio.shield(self._operations.unload(model, control_request(name)))

    async def ready(self, name: str) -> bool:
        """Whether a request would succeed; loads the model to find out only if it was never loaded.

        Raises:
            ApiError: as ``use``.
        """
        model = await self._find(name)
        if model is None:
            raise unknown(name)
        if model.unloaded_by_client or model.process_ended:
            return False
        if model.failure or not (model.loaded_before and model.listed):
            await self._wait_for(name)
        return True

    async def synchronize(self) -> None:
        """Adopt Triton's state: at its start, after a restart, and after a client unloaded a model.

        Raises:
            ApiError: Triton does not respond.
        """
        index = await self._triton.index()
        for name, loaded in index.items():
            model = self._models.setdefault(name, ModelState(name=name))
            # A model in work is left alone: its task knows better than an index that was written before.
            if model.work is None and not loaded:
                model.config = None
            elif model.work is None and model.config is None:
                await self._operations.record_loaded(model)
        # A folder that was removed: the name stays known, so that metrics keep its label.
        for name in self._models.keys() - index.keys():
            self._models[name].config = None

    def model_failed(self, reason: str) -> None:
        """Replace the model whose process has ended, if that is the reason that Triton gave for a request."""
        for model in map(self._models.get, ended_models(reason)):
            if model is not None and model.config is not None and model.work is None:
                logger.error("the process of model %s has ended", model.name, extra={"reason": reason})
                model.config, model.process_ended = None, True
                self._operations.replace(model)

    def forget(self) -> None:
        """Mark every model as not loaded, after Triton has ended."""
        for model in self._models.values():
            model.config, model.content = None, ""
            # A new Triton may load what the old one could not.
            model.failure = ""

    async def run(self) -> None:
        """Unload idle models until cancelled."""
        await self.residency.run()

    @contextmanager
    def _held(self, model: ModelState) -> Iterator[None]:
        model.users += 1
        try:
            yield
        finally:
            self.release(model.name)

    def _is_loaded(self, model: ModelState, above: frozenset[str] = frozenset()) -> bool:
        """Whether the model and all its dependencies are loaded; ``above`` are the models that depend on it."""
        if model.config is None:
            return False
        if not model.dependencies:
            return True
        above |= {model.name}
        steps = [self._models.get(step) for step in model.dependencies if step not in above]
        return all(step is not None and self._is_loaded(step, above) for step in steps)

    async def _wait_for(self, name: str) -> ModelState:
        if self._waiting >= self._max_waiting:
            raise ApiError("overloaded", f"{self._waiting} requests are waiting for models to load; try again shortly")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._wait):
                model = await self._find(name)
                if model is None:
                    raise unknown(name)
                with self._held(model):  # or a sweep would unload it while its dependencies load
                    # In a loop: the dependencies are known only once the model is loaded, and a restarted Triton
                    # loses everything in between.
                    while not self._is_loaded(model):
                        await asyncio.gather(self._ensure_loaded(model), self._ensure_dependencies(model, frozenset()))
                return model
        except TimeoutError as err:
            message = f"model {name!r} is still being loaded after {self._wait:g} s; try again"
            raise ApiError("model_not_ready", message) from err
        finally:
            self._waiting -= 1

    async def _find(self, name: str) -> ModelState | None:
        """Look into the repository when the model is not loaded, because folders come and go.

        Triton leaves out a folder that it once found without a version, until it loads it: known names stay known.
        """
        model = self._models.get(name)
        if model is not None and (model.config is not None or model.work is not None):
            return model
        listed = name in await self._triton.index()
        if listed:
            model = self._models.setdefault(name, ModelState(name=name))
        if model is not None:
            model.listed = listed
        return model

    async def _ensure_loaded(self, model: ModelState) -> None:
        """Wait until the model is loaded; starts one load for all waiting requests, which goes on when they give up."""
        # In a loop: what was awaited may have been an unload, or Triton may have been restarted meanwhile.
        while model.config is None:
            if model.work is None:
                if model.failure and self._now() < model.retry_at:
                    raise model.unloadable()
                await self.residency.make_room(model)
                if model.work is None and model.config is None:  # it may have been begun while others were unloaded
                    self._operations.load(model)
            if model.work is None:
                continue
            try:
                await asyncio.shield(model.work)
            except ApiError as err:
                raise (model.unloadable() if model.failure else err) from err

    async def _ensure_dependencies(self, model: ModelState, above: frozenset[str]) -> None:
        above |= {model.name}  # so that models that name each other do not recurse forever
        await asyncio.gather(
            *(self._ensure_dependency(step, above) for step in model.dependencies if step not in above)
        )

    async def _ensure_dependency(self, name: str, above: frozenset[str]) -> None:
        step = await self._find(name)
        if step is None:
            message = f"the repository does not have the model {name!r}, which {' and '.join(above)} needs"
            raise ApiError("model_failed", message)
        await asyncio.gather(self._ensure_loaded(step), self._ensure_dependencies(step, above))
