"""What a step answers: a head, and a body that may still be on its way."""

import asyncio

from switchyard.http.client import Response
from switchyard.http.client.errors import UpstreamError
from switchyard.http.headers import NOT_RETURNED, Header, filtered
from switchyard.http.server.exchange import Exchange
from switchyard.router.errors import GraphRequestError

KEPT_PREFIX = b"x-switchyard-"
_UNFRAMED = NOT_RETURNED | {b"content-length"}


class StepResponse:
    """An answer of a service, or one composed here; always ``close`` it.

    ``deadline`` is the loop's time up to which ``read`` may wait, or None.
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
        """Whether this is an answer in server-sent events, which may take minutes."""
        return any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in self.headers)

    @property
    def kept_headers(self) -> list[Header]:
        """The headers that say how a request was decided; the client gets them though a later step answers."""
        return [header for header in self.headers if header[0].startswith(KEPT_PREFIX)]

    def add_headers(self, headers: list[Header]) -> None:
        """Adds headers of earlier steps; this answer's own win."""
        if headers:
            present = {name for name, _ in self.headers}
            self.headers = [*self.headers, *[header for header in headers if header[0] not in present]]

    async def read(self) -> bytes:
        """The whole body.

        Raises:
            GraphRequestError: it broke off, is too large or came too slowly.
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
            raise GraphRequestError(500, f"{self.source}: its answer was not complete in time") from err
        finally:
            self._upstream.close()
        self._upstream = None
        return self._body

    def close(self) -> None:
        """Ends the step when its answer is not complete."""
        if self._upstream is not None:
            self._upstream.close()

    def send_if_complete(self, exchange: Exchange) -> bool:
        """Gives this answer to the client in one write, if all of it is here."""
        upstream = self._upstream
        if upstream is not None and not upstream.complete:
            return False
        body = self._body if upstream is None else upstream.read_nowait()
        exchange.respond(self.status, filtered(self.headers, _UNFRAMED), body)
        return True

    async def relay(self, exchange: Exchange) -> None:
        """Gives this answer to the client as it comes, each piece at once.

        Raises:
            UpstreamError: it broke off; the head has been sent.
        """
        upstream = self._upstream
        assert upstream is not None
        exchange.start(self.status, filtered(self.headers, NOT_RETURNED))
        exchange.write(upstream.read_nowait())
        while data := await upstream.chunk():
            exchange.write(data)
            await exchange.drain()
        exchange.end()
