"""Which loaded models are unloaded: idle ones after a while, and the least recently used ones to make room."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from predictors.vision.triton.control import control_request
from predictors.vision.triton.loading.model_state import RETRY_SECONDS, ModelState
from predictors.vision.triton.loading.operations import Operations
from switchyard.http.api_errors import ApiError

_SWEEP_SECONDS = 5.0
_NAMED = 5  # models that a message names

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How many models may be loaded, and how many bytes they may need; 0 for no limit."""

    models: int = 0
    bytes: int = 0


UNLIMITED = Limits()


class Residency:
    """Chooses among ``models`` what is unloaded; never what is in use, needed by such a model, or pinned.

    ``memory`` returns the bytes that a model needs while it is loaded.
    """

    def __init__(
        self,
        models: Mapping[str, ModelState],
        operations: Operations,
        memory: Callable[[str], int],
        *,
        idle_seconds: float,
        limits: Limits,
    ) -> None:
        self._models = models
        self._operations = operations
        self._memory = memory
        self._idle = idle_seconds
        self._limits = limits
        self._now = asyncio.get_running_loop().time

    def needing(self, step: str) -> list[str]:
        """Return the models that ``step`` must stay loaded for."""
        return [model.name for model in self._models.values() if model.needs(step)]

    async def run(self) -> None:
        """Unload idle models until cancelled."""
        while self._idle:
            await asyncio.sleep(min(self._idle / 4, _SWEEP_SECONDS))
            try:
                await self.sweep()
            except ApiError as err:
                logger.warning("idle models stay loaded", extra={"reason": err.message})

    async def sweep(self) -> None:
        """Unload models that were idle long enough; dependencies after the models that needed them.

        Raises:
            ApiError: Triton does not respond.
        """
        # Again until none is left: a pipeline's steps are idle only when the pipeline is gone.
        while idle := [model for model in self._models.values() if self._is_idle(model)]:
            for model in idle:
                if self._is_idle(model):  # a request may have arrived while the previous model was unloaded
                    await self._unload(model, "idle")

    async def make_room(self, model: ModelState) -> None:
        """Unload the least recently used models until ``model`` fits; nothing awaits after the last look.

        Raises:
            ApiError: 503 with the sum: it can never fit, or what is loaded is in use; Triton does not respond.
        """
        model.memory = self._memory(model.name)
        if 0 < self._limits.bytes < model.memory:
            message = (
                f"model {model.name!r} needs {_size(model.memory)}, and all models together may take "
                f"{_size(self._limits.bytes)} here (MODEL_REPOSITORY_BYTES)"
            )
            raise ApiError("model_failed", message)
        while not self._fits(model, held := self._held(model)):
            removable = [one for one in held if self._is_removable(one)]
            if not removable:
                raise self._no_room(model, held)
            await self._unload(min(removable, key=lambda one: one.used), f"room for {model.name}")

    def _held(self, model: ModelState) -> list[ModelState]:
        """Return the other models that are loaded, or are being loaded or unloaded."""
        return [one for one in self._models.values() if one is not model and (one.config or one.work)]

    def _fits(self, model: ModelState, held: Iterable[ModelState]) -> bool:
        sizes = [one.memory for one in held]
        too_many = 0 < self._limits.models <= len(sizes)
        return not too_many and not 0 < self._limits.bytes < sum(sizes) + model.memory

    def _no_room(self, model: ModelState, held: Iterable[ModelState]) -> ApiError:
        largest = sorted(held, key=lambda one: -one.memory)
        names = ", ".join(f"{one.name} ({_size(one.memory)})" for one in largest[:_NAMED])
        others = f" and {len(largest) - _NAMED} others" if len(largest) > _NAMED else ""
        allowed = " and ".join(
            text
            for limit, text in (
                (self._limits.models, f"{self._limits.models} models"),
                (self._limits.bytes, _size(self._limits.bytes)),
            )
            if limit
        )
        message = (
            f"model {model.name!r} needs {_size(model.memory)}, and of the {allowed} that may be loaded here "
            f"{names}{others} are in use or pinned; try again"
        )
        return ApiError("model_not_ready", message, retry_after=RETRY_SECONDS)

    async def _unload(self, model: ModelState, reason: str) -> None:
        logger.info("unloading %s", model.name, extra={"model": model.name, "reason": reason})
        await asyncio.shield(self._operations.unload(model, control_request(model.name)))

    def _is_idle(self, model: ModelState) -> bool:
        return self._is_removable(model) and self._now() - model.used >= self._idle

    def _is_removable(self, model: ModelState) -> bool:
        if model.config is None or model.users or model.work or model.config.is_pinned:
            return False
        return not self.needing(model.name)


def _size(number: int) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"
