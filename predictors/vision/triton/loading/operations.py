"""One load or unload of one model: a task that goes on when its requester disconnects, and records its outcome."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from predictors.vision.triton.config_override import overridden
from predictors.vision.triton.control import ModelControl, control_request
from predictors.vision.triton.loading.model_state import RETRY_SECONDS, ModelState, unknown
from predictors.vision.triton.model_config import parse_config
from predictors.vision.triton.triton_log import NOT_POLLED
from switchyard.http.api_errors import ApiError
from switchyard.telemetry.metrics.predictors import InferenceMetrics

SWITCHES = 5  # loads of one request, if other content is published in the middle of each

logger = logging.getLogger(__name__)


class Operations:
    """Begins loads and unloads; the task is the model's ``work`` until it ends, and raises ``ApiError``."""

    def __init__(self, triton: ModelControl, metrics: InferenceMetrics) -> None:
        self._triton = triton
        self._metrics = metrics
        self._now = asyncio.get_running_loop().time

    def load(self, model: ModelState) -> "asyncio.Task[None]":
        """Load a model; one that is loaded serves until its new content is ready, and goes on if that cannot be."""
        if not model.overridden:
            return _begin(model, self._load(model))
        # Triton takes the folder's own configuration for no change; requests wait, as for a first load.
        model.config = None
        return self.replace(model)

    def override(self, model: ModelState, override: str) -> "asyncio.Task[None]":
        """Load a loaded model with the fields of ``override`` in its configuration; it serves as in ``load``."""
        return _begin(model, self._override(model, override))

    def reload(self, model: ModelState) -> "asyncio.Task[None]":
        """Load new content of a loaded model, and record why if that cannot be."""
        return _begin(model, self._reload(model))

    def replace(self, model: ModelState) -> "asyncio.Task[None]":
        """Unload and load: to load what is loaded and has not changed does nothing. Triton never ends that unload."""
        return _begin(model, self._replace(model))

    def unload(self, model: ModelState, request: bytes) -> "asyncio.Task[None]":
        """Mark the model as not loaded before the unload is sent: a request from now on loads it again."""
        model.config, model.content, model.overridden = None, "", False
        self._metrics.load_time.remove_by_labels({"model": model.name})
        return _begin(model, self._triton.control("RepositoryModelUnload", request))

    async def record_loaded(self, model: ModelState) -> None:
        """Record what Triton has loaded.

        Raises:
            ApiError: Triton does not respond.
        """
        model.config = parse_config(await self._triton.config(model.name))
        model.dependencies = model.config.dependencies
        # Counts as a use: a model that a client loaded, or that nobody waits for any more, stays for its idle time as
        # well.
        model.used = self._now()
        model.process_ended = False
        model.loaded_before = True

    async def _load(self, model: ModelState, *, config: str = "") -> None:
        began = self._now()
        for reason in ("content", "unreachable"):
            self._metrics.load_failures.labels(model.name, reason)  # at 0: a rate sees the first failure too
        model.failure, model.unloaded_by_client = "", False
        try:
            content = await self._load_published(model.name, config)
        except ApiError as err:
            if err.message.endswith(NOT_POLLED) and model.name not in await self._triton.index():
                raise unknown(model.name) from err  # its folder was removed
            # 503 is Triton's absence, not the model's fault.
            if err.status != 503 and model.config is None:
                model.failure = err.message
                model.retry_at = self._now() + RETRY_SECONDS
            self._metrics.load_failures.labels(model.name, "unreachable" if err.status == 503 else "content").inc()
            logger.error("model %s cannot be loaded", model.name, extra={"model": model.name, "reason": err.message})
            raise
        model.reload_failure, model.overridden, model.content = "", bool(config), content
        await self.record_loaded(model)
        seconds = round(self._now() - began, 3)
        self._metrics.load_time.labels(model.name, "load").set(seconds)
        logger.info("loaded %s", model.name, extra={"model": model.name, "seconds": seconds})

    async def _load_published(self, name: str, config: str, *, tries: int = SWITCHES) -> str:
        """Have Triton load what is published of a model; return which content that was."""
        content = self._triton.content(name)
        try:
            await self._triton.control("RepositoryModelLoad", control_request(name, config=config))
        except ApiError:
            # Triton reads a model's files one after the other, through the link: it has met half of each content.
            if tries > 1 and self._triton.content(name) != content:
                return await self._load_published(name, config, tries=tries - 1)
            raise
        return content

    async def _reload(self, model: ModelState) -> None:
        try:
            await self._load(model)
        except ApiError as err:
            if err.status != 503:
                model.reload_failure = err.message
            raise

    async def _replace(self, model: ModelState) -> None:
        await self._triton.control("RepositoryModelUnload", control_request(model.name))
        await self._load(model)

    async def _override(self, model: ModelState, override: str) -> None:
        await self._load(model, config=overridden(await self._triton.config(model.name), override))


def _begin(model: ModelState, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    async def run() -> None:
        try:
            await work
        finally:
            # In the task itself, before its end wakes anybody: whoever waits in ``settled`` looks at it again.
            model.work = None

    model.work = task = asyncio.create_task(run())
    # Its requester may be gone: without this, asyncio would log an exception that nobody retrieved.
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task
