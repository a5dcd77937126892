"""A step's response: status and headers, and a body that may still be arriving."""

import asyncio

from switchyard.http.client import Response
from switchyard.http.client.errors import UpstreamError
from switchyard.http.headers import INTERNAL, OF_USAGE, STEP_TO_CLIENT, WHOLE_STEP_TO_CLIENT, Header
from switchyard.http.server.exchange import Exchange
from switchyard.router.errors import GraphRequestError


class StepResponse:
    """The response of a service, or one composed by the router; always ``close`` it.

    ``deadline`` is the loop time up to which ``read`` may wait, or None.
    """

    __slots__ = ("_body", "_deadline", "_upstream", "headers", "source", "status")

    def __init__(
        self,
        status: int,
        headers: list[Header],
        body: bytes = b"",
        *,
        upstream: Response | None = None,
        source: str = "",
        deadline: float | None = None,
    ) -> None:
        self.status = status
        self.headers = headers
        self.source = source
        self._body = body
        self._upstream = upstream
        self._deadline = deadline

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status <= 299

    @property
    def streams(self) -> bool:
        """Whether the body is server-sent events, which may take minutes."""
        return any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in self.headers)

    @property
    def kept_headers(self) -> list[Header]:
        """The headers that say how the graph decided; the client gets them even when a later step responds."""
        return [header for header in self.headers if header[0].startswith(INTERNAL) and header[0] not in OF_USAGE]

    def add_headers(self, headers: list[Header]) -> None:
        """Add headers of earlier steps; a header of this response wins over theirs."""
        if headers:
            present = {name for name, _ in self.headers}
            self.headers = [*self.headers, *[header for header in headers if header[0] not in present]]

    async def read(self) -> bytes:
        """Read the whole body.

        Raises:
            GraphRequestError: it ended early, is too large or arrived too slowly.
        """
        if self._upstream is None:
            return self._body
        try:
            if self._upstream.complete:
                self._body = self._upstream.read_nowait()
            else:
                async with asyncio.timeout_at(self._deadline):
                    self._body = await self._upstream.read()
        except UpstreamError as err:
            raise GraphRequestError(500, f"{self.source}: {err}") from err
        except TimeoutError as err:
            raise GraphRequestError(500, f"{self.source}: its response was not complete in time") from err
        finally:
            self._upstream.close()
        self._upstream = None
        return self._body

    def close(self) -> None:
        """End the call; abort it when its response is not complete."""
        if self._upstream is not None:
            self._upstream.close()

    def send_if_complete(self, exchange: Exchange) -> bool:
        """Send this response to the client in one write if all of it has arrived; return whether it was sent."""
        upstream = self._upstream
        if upstream is not None and not upstream.complete:
            return False
        body = self._body if upstream is None else upstream.read_nowait()
        exchange.respond(self.status, WHOLE_STEP_TO_CLIENT.passed(self.headers), body)
        return True

    async def relay(self, exchange: Exchange) -> None:
        """Stream this response to the client, each chunk as it arrives.

        Raises:
            GraphRequestError: it ended before any byte of its body.
            UpstreamError: it ended early, after its headers were sent.
        """
        upstream = self._upstream
        assert upstream is not None
        # If the step ends before its body begins, the client gets an error of ours. Events are not waited for: a model
        # may take minutes to the first, and a client must see at once that its stream is open.
        if not upstream.is_events:
            try:
                await upstream.begun()
            except UpstreamError as err:
                raise GraphRequestError(500, f"{self.source}: {err}") from err
        exchange.start(self.status, STEP_TO_CLIENT.passed(self.headers))
        exchange.write(upstream.read_nowait())
        while data := await upstream.chunk():
            exchange.write(data)
            await exchange.drain()
        exchange.end()
