"""The state of one model of the repository."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass

from predictors.vision.triton.model_config import ModelConfig
from switchyard.http.api_errors import ApiError

# What the Python backend of 2.51 says of each request for an instance whose process is gone, until it is unloaded.
_ENDED = re.compile(r"Stub process '([^']+)' is not healthy")
_INSTANCE = re.compile(r"_\d+$")
RETRY_SECONDS = 1  # how long a failed load is not retried


@dataclass(kw_only=True)
class ModelState:
    """``config`` is set while the model is loaded, ``work`` while it is being loaded or unloaded.

    ``content`` is which published content was loaded, and ``memory`` the bytes that it needs; ``overridden`` says that
    its configuration is not as its folder has it; ``failure`` why it is not loaded; ``reload_failure`` why what is
    loaded is not the newest content. ``dependencies`` are kept after an unload, so that the next time all can be loaded
    concurrently.
    """

    name: str
    listed: bool = True
    config: ModelConfig | None = None
    content: str = ""
    dependencies: tuple[str, ...] = ()
    users: int = 0
    memory: int = 0
    used: float = 0.0
    work: "asyncio.Task[None] | None" = None
    failure: str = ""
    reload_failure: str = ""
    retry_at: float = 0.0
    unloaded_by_client: bool = False
    process_ended: bool = False
    overridden: bool = False
    loaded_before: bool = False

    def needs(self, step: str) -> bool:
        """Whether ``step`` must stay loaded, also for requests still in flight after the model's own unload began."""
        return (self.config is not None or self.users > 0) and step in self.dependencies

    async def settled(self) -> None:
        """Wait until it is neither being loaded nor unloaded."""
        while self.work is not None:
            await asyncio.wait((self.work,))

    def unloadable(self) -> ApiError:
        """Return the error for requests while the last load has failed."""
        message = f"model {self.name!r} cannot be loaded: {self.failure}"
        return ApiError("model_failed", message, retry_after=RETRY_SECONDS)


def unknown(name: str) -> ApiError:
    """Return the error for a name that the repository does not have."""
    message = f"the repository has no model {name!r}; POST /v2/repository/index lists what it has"
    return ApiError("model_not_found", message, param="model")


def ended_models(reason: str) -> Iterator[str]:
    """Yield the names that a model may have of which a process has ended, by Triton's reason for a failed request.

    An instance is named after its model, with one or two numbers.
    """
    for name in _ENDED.findall(reason):
        while (shorter := _INSTANCE.sub("", name)) != name:
            name = shorter
            yield name
