"""Where responses in the background are kept: each a recording, and its input beside it."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from switchyard.gateway.recordings.format import Decoder, End, Entry, Failure, encode_end
from switchyard.gateway.recordings.generation import Generation
from switchyard.gateway.recordings.generations import Found, Generations
from switchyard.gateway.responses.objects import CANCELLED, Object
from switchyard.gateway.settlements import new_call_id
from switchyard.http.api_errors import ApiError
from switchyard.store.contract import StoreError
from switchyard.store.recordings.contract import SEGMENT_BYTES, Bounds, Page

_LEASE_SECONDS = 10.0
INPUT_BYTES = 4 * 1024 * 1024  # of an input that is kept, as of a recording


def name_of(response_id: str) -> str:
    """Return the name of a response's recording."""
    return f"response:{response_id}"


def away(err: StoreError) -> ApiError:
    """Return the error of a store that does not respond."""
    error = ApiError("store_unavailable", "the store of responses does not respond; try again", retry_after=1)
    error.__cause__ = err
    return error


def cancelled() -> ApiError:
    """Return the error with which a response ends that a client cancelled."""
    return ApiError(CANCELLED, "this response was cancelled")


@dataclass(frozen=True, slots=True)
class Responses:
    """Responses in the background; each is kept for ``seconds``."""

    generations: Generations
    seconds: float

    async def find(self, scope: str, response_id: str) -> Found:
        """Return a response that is made or kept.

        Raises:
            ApiError: there is none, or the store does not respond.
        """
        name = name_of(response_id)
        try:
            found: Found | None = self.generations.find(scope, name) or await self.generations.store.find(scope, name)
        except StoreError as err:
            raise away(err) from err
        if found is None:
            raise ApiError("not_found", f"there is no response {response_id[:80]} in the background, or not any more")
        return found

    async def entries(self, scope: str, found: Found) -> Sequence[Entry]:
        """Return what is recorded of a response until now."""
        try:
            data = await found.so_far() if isinstance(found, Generation) else await self._stored(scope, found)
        except StoreError as err:
            raise away(err) from err
        return [*Decoder().feed(data)]

    async def cancel(self, scope: str, response_id: str, found: Found) -> None:
        """End a response that is still made, here or at another gateway, which sees it within two seconds."""
        if isinstance(found, Generation):
            found.cancel(cancelled())
            await found.wait()
            return
        if found.recording.state != "running":
            return
        store, name, new_id = self.generations.store, name_of(response_id), new_call_id()
        ended = encode_end(0, End(Failure.of(cancelled())))
        try:
            await store.forget(scope, name)
            if await store.claim(scope, name, new_id, b"", lease=_LEASE_SECONDS, ttl=self.seconds) is None:
                await store.finish(scope, new_id, 0, ended, complete=True, ttl=self.seconds, bounds=Bounds())
        except StoreError as err:
            raise away(err) from err

    async def keep_input(self, scope: str, response_id: str, items: Sequence[Object]) -> None:
        """Keep the input of a response, unless it is too large.

        Raises:
            StoreError: the store does not respond.
        """
        data, store, new_id, number = orjson.dumps(items), self.generations.store, new_call_id(), 0
        if len(data) > INPUT_BYTES:
            return
        name = f"input:{response_id}"
        await store.claim(scope, name, new_id, b"", lease=_LEASE_SECONDS, ttl=self.seconds)
        while len(data) > SEGMENT_BYTES:
            await store.append(scope, new_id, number, data[:SEGMENT_BYTES], lease=_LEASE_SECONDS)
            data, number = data[SEGMENT_BYTES:], number + 1
        await store.finish(scope, new_id, number, data, complete=True, ttl=self.seconds, bounds=Bounds())

    async def input_of(self, scope: str, response_id: str) -> Sequence[Object]:
        """Return the items of a response's input.

        Raises:
            ApiError: they are not kept, or the store does not respond.
        """
        try:
            page = await self.generations.store.find(scope, f"input:{response_id}")
            data = b"" if page is None else await self._stored(scope, page)
        except StoreError as err:
            raise away(err) from err
        if not data:
            raise ApiError("not_found", f"the input of response {response_id[:80]} is not kept")
        items: Sequence[Object] = orjson.loads(data)
        return items

    async def _stored(self, scope: str, page: Page) -> bytes:
        data, had = b"".join(page.segments), len(page.segments)
        while had < page.recording.segments and page.segments:
            more = await self.generations.store.follow(scope, page.recording.id, after=had)
            if more is None:
                break
            page = more
            data, had = data + b"".join(page.segments), had + len(page.segments)
        return data
