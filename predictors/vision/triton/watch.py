"""Whether Triton is there: one idle connection to it says at once when it goes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from predictors.vision.refusal import Refused
from predictors.vision.triton.client import Triton

logger = logging.getLogger(__name__)

RETRY_SECONDS = 0.1


class Watch:
    """Follows one Triton; ``on_live`` is awaited each time that it has come, ``on_lost`` called when it has gone.

    A restarted Triton has nothing loaded, so that it matters to notice even a restart that takes no time.
    """

    def __init__(
        self, triton: Triton, address: str, *, on_live: Callable[[], Awaitable[None]], on_lost: Callable[[], None]
    ) -> None:
        self.live = False
        self._triton = triton
        host, _, port = address.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._on_live = on_live
        self._on_lost = on_lost

    async def run(self) -> None:
        """Follows until cancelled."""
        while True:
            try:
                reader, writer = await asyncio.open_connection(self._host, self._port)
            except OSError:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            try:
                await self._follow(reader)
            except OSError:  # a reset says the same as an end
                logger.debug("Triton's connection was reset")
            finally:
                writer.close()
            self._lose()
            await asyncio.sleep(RETRY_SECONDS)  # a Triton that is ending may still accept connections

    async def _follow(self, reader: asyncio.StreamReader) -> None:
        while not (await self._triton.live() and await self._welcome()):
            if reader.at_eof():
                return
            await asyncio.sleep(RETRY_SECONDS)
        self.live = True
        logger.info("Triton answers")
        await reader.read(1)

    async def _welcome(self) -> bool:
        try:
            await self._on_live()
        except Refused as err:
            logger.warning("Triton is live but does not say what it has", extra={"reason": err.sentence})
            return False
        return True

    def _lose(self) -> None:
        if self.live:
            self.live = False
            logger.error("Triton is gone")
        self._on_lost()
