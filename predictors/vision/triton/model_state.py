"""What is known of one model of the repository."""

import asyncio
from dataclasses import dataclass

from predictors.vision.refusal import Refused
from predictors.vision.triton.model_config import Description

RETRY_SECONDS = 5  # how long a load that failed is not tried again


@dataclass(kw_only=True)
class Resident:
    """``description`` is there while the model is loaded, ``work`` while it is being loaded or unloaded.

    ``steps`` are remembered when it is unloaded, so that next time all can be loaded at once.
    """

    name: str
    description: Description | None = None
    steps: tuple[str, ...] = ()
    users: int = 0
    used: float = 0.0
    work: "asyncio.Task[None] | None" = None
    failure: str = ""
    retry_at: float = 0.0
    parked: bool = False  # a client unloaded it
    proven: bool = False  # it has been loaded once

    def needs(self, step: str) -> bool:
        """Whether ``step`` must stay: also for requests that are still answered after the model's own unload began."""
        return (self.description is not None or self.users > 0) and step in self.steps

    async def settled(self) -> None:
        """Returns when it is neither being loaded nor unloaded."""
        while self.work is not None:
            await asyncio.wait((self.work,))

    def unloadable(self) -> Refused:
        """What a request for it is told while its last load has failed."""
        return Refused(503, f"model {self.name!r} cannot be loaded: {self.failure}", retry_after=RETRY_SECONDS)
