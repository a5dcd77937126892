"""Sends what the store has of a response, and follows one that another gateway makes."""

import asyncio
import logging

from switchyard.gateway.recordings.format import FormatError
from switchyard.gateway.recordings.player import Player
from switchyard.gateway.recordings.writer import LEASE_SECONDS
from switchyard.http.api_errors import ApiError
from switchyard.store.contract import StoreError
from switchyard.store.recordings.contract import Page, Recording, Recordings

logger = logging.getLogger(__name__)

_SHORTEST_SECONDS = 0.02  # between looks for more: a token's time
_LONGEST_SECONDS = 0.2  # after a few without


async def replay(store: Recordings, scope: str, page: Page, player: Player) -> None:
    """Send the recording of ``page``, which begins with its first segment, until its end.

    Raises:
        ApiError: it ended with an error, was lost, or cannot be read.
    """
    had, pause = 0, _SHORTEST_SECONDS
    while True:
        for segment in page.segments:
            _feed(player, segment)
            if player.done:
                return
            if player.congested:
                await player.drain()
        had += len(page.segments)
        if page.segments:
            pause = _SHORTEST_SECONDS
        elif page.recording.state == "running":
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_SECONDS)
        else:
            raise lost(page.recording)
        page = await _next(store, scope, page.recording, had)


def lost(recording: Recording) -> ApiError:
    """Return the error for a response whose gateway was lost, with what is known of it."""
    message = (
        f"the gateway that made this response was lost: it began {recording.age:.0f} s ago, and {recording.size} bytes "
        "of it were kept; nobody knows whether the model completed it; send the request again to have it made anew, "
        "with the same key it is charged once"
    )
    return ApiError("idempotency_unknown", message, retry_after=1)


def _feed(player: Player, segment: bytes) -> None:
    try:
        player.feed(segment)
    except FormatError as err:
        logger.error("a recording cannot be read: %s", err)
        message = "what is kept of this response cannot be read; send the request again with another key"
        raise ApiError("idempotency_unknown", message, retry_after=1) from err


async def _next(store: Recordings, scope: str, recording: Recording, had: int) -> Page:
    """Return the next segments, also from a store that was away for less than a lease."""
    loop = asyncio.get_running_loop()
    until = loop.time() + LEASE_SECONDS
    while True:
        try:
            page = await store.follow(scope, recording.id, after=had)
        except StoreError as err:
            if loop.time() > until:
                message = "the store of responses does not respond; try again"
                raise ApiError("store_unavailable", message, retry_after=1) from err
            await asyncio.sleep(_LONGEST_SECONDS)
            continue
        if page is None:
            raise lost(recording)
        return page
