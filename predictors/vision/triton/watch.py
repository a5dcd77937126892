"""Watches whether Triton runs: one idle connection to it breaks at once when it ends."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from predictors.vision.triton.client import TritonClient
from switchyard.http.api_errors import ApiError

logger = logging.getLogger(__name__)

RETRY_SECONDS = 0.1
_ASK_SECONDS = 1.0  # between questions on the idle connection
_SILENT_SECONDS = 3.0  # without an answer to one: a busy Triton takes less, and together both are less than 5
_QUESTION = b"GET /v2/health/live HTTP/1.1\r\nhost: triton\r\n\r\n"


class TritonWatch:
    """Follows one Triton; awaits ``on_live`` each time it becomes live, and calls ``on_lost`` when it ends.

    A restarted Triton has no model loaded, so even an instant restart must be noticed.
    """

    def __init__(
        self, triton: TritonClient, address: str, *, on_live: Callable[[], Awaitable[None]], on_lost: Callable[[], None]
    ) -> None:
        self.live = False
        self._triton = triton
        host, _, port = address.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._on_live = on_live
        self._on_lost = on_lost

    async def run(self) -> None:
        """Follow Triton until cancelled."""
        while True:
            try:
                reader, writer = await asyncio.open_connection(self._host, self._port)
            except OSError:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            try:
                await self._follow(reader, writer)
            except OSError:  # a reset means the same as an end
                logger.debug("Triton's connection was reset")
            finally:
                writer.close()
            self._lose()
            await asyncio.sleep(RETRY_SECONDS)  # a terminating Triton may still accept connections

    async def _follow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not (await self._triton.live() and await self._welcome()):
            if reader.at_eof():
                return
            await asyncio.sleep(RETRY_SECONDS)
        # Only now, with the models adopted: a request that came sooner would load what may be loaded already.
        self.live = True
        logger.info("Triton is live")
        # Triton sends nothing unasked, so this returns when the connection ends, and no sooner.
        await _until_lost(reader, writer)

    async def _welcome(self) -> bool:
        try:
            await self._on_live()
        except ApiError as err:
            logger.warning("Triton is live but its index cannot be read", extra={"reason": err.message})
            return False
        return True

    def _lose(self) -> None:
        if self.live:
            self.live = False
            logger.error("Triton is gone")
        # Also when it never was live: ``_welcome`` may have adopted a part of its models before the end.
        self._on_lost()


async def _until_lost(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Return when Triton has ended or says nothing any more.

    The process of a model inherits Triton's connections, so one that outlives it holds this one open: hence questions.
    """
    while True:
        try:
            async with asyncio.timeout(_ASK_SECONDS):
                await reader.read(1)
            return  # its end: nothing was asked
        except TimeoutError:
            writer.write(_QUESTION)
        try:
            async with asyncio.timeout(_SILENT_SECONDS):
                answer = await reader.readuntil(b"\r\n\r\n")
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return
        if not answer.startswith(b"HTTP/1.1 200 "):
            return
