"""What a step answers: a head, and a body that may still be on its way."""

import asyncio

from switchyard.http.client import Response
from switchyard.http.client.errors import UpstreamError
from switchyard.http.headers import NOT_RETURNED, Header, filtered
from switchyard.http.server.exchange import Exchange
from switchyard.router.errors import GraphFailure

KEPT_PREFIX = b"x-switchyard-"
_UNFRAMED = NOT_RETURNED | {b"content-length"}


class Answer:
    """An answer of a service, or one composed here; always ``close`` it.

    ``deadline`` is the loop's time up to which ``read`` may wait, or None.
    """

    __slots__ = ("_body", "_deadline", "_response", "headers", "source", "status")

    def __init__(
        self,
        status: int,
        headers: list[Header],
        body: bytes = b"",
        *,
        response: Response | None = None,
        source: str = "",
        deadline: float | None = None,
    ) -> None:
        self.status = status
        self.headers = headers
        self.source = source
        self._body = body
        self._response = response
        self._deadline = deadline

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status <= 299

    @property
    def streams(self) -> bool:
        """Whether this is an answer in server-sent events, which may take minutes."""
        return any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in self.headers)

    @property
    def notes(self) -> list[Header]:
        """The headers that say how a request was decided; the client gets them though a later step answers."""
        return [header for header in self.headers if header[0].startswith(KEPT_PREFIX)]

    def add(self, notes: list[Header]) -> None:
        """Adds headers of earlier steps; this answer's own win."""
        if notes:
            own = {name for name, _ in self.headers}
            self.headers = [*self.headers, *[note for note in notes if note[0] not in own]]

    async def read(self) -> bytes:
        """The whole body.

        Raises:
            GraphFailure: it broke off, is too large or came too slowly.
        """
        if self._response is None:
            return self._body
        try:
            if self._response.complete:
                self._body = self._response.read_nowait()
            else:
                async with asyncio.timeout_at(self._deadline):
                    self._body = await self._response.read()
        except UpstreamError as err:
            raise GraphFailure(500, f"{self.source}: {err}") from err
        except TimeoutError as err:
            raise GraphFailure(500, f"{self.source}: its answer was not complete in time") from err
        finally:
            self._response.close()
        self._response = None
        return self._body

    def close(self) -> None:
        """Ends the step when its answer is not complete."""
        if self._response is not None:
            self._response.close()

    def give(self, exchange: Exchange) -> bool:
        """Gives this answer to the client in one write, if all of it is here."""
        response = self._response
        if response is not None and not response.complete:
            return False
        body = self._body if response is None else response.read_nowait()
        exchange.respond(self.status, filtered(self.headers, _UNFRAMED), body)
        return True

    async def relay(self, exchange: Exchange) -> None:
        """Gives this answer to the client as it comes, each piece at once.

        Raises:
            UpstreamError: it broke off; the head has been sent.
        """
        response = self._response
        assert response is not None
        exchange.start(self.status, filtered(self.headers, NOT_RETURNED))
        exchange.write(response.read_nowait())
        while data := await response.chunk():
            exchange.write(data)
            await exchange.drain()
        exchange.end()
