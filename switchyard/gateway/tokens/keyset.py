"""The public keys of an issuer, read ahead of the calls that need them; the last good ones stay in force."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from switchyard.files import read_file
from switchyard.gateway.tenants.issuer import Issuer
from switchyard.gateway.tokens.grant import RejectedTokenError, shown
from switchyard.gateway.tokens.signature import SigningKey, read_keys
from switchyard.http.api_errors import ApiError
from switchyard.http.client import Client, Limits, Timeouts
from switchyard.http.client.errors import UpstreamError

logger = logging.getLogger(__name__)

_DOCUMENT_BYTES = 512 * 1024  # a JWKS has a few kilobytes, with chains of certificates some tens
_READ_SECONDS = 5.0
_RETRY_SECONDS = 15.0  # after a failed reading, unless ``refresh_seconds`` is less
# A token may name a key that was published since. Whoever invents key ids causes one reading in this time.
_ASK_SECONDS = 10.0
_WAIT_SECONDS = 2.0  # of a call, for that reading; it holds no place in flight meanwhile
_MOST_WAITING = 64  # calls that wait at a time: further ones go without

OnRead = Callable[[bool], None]


class KeySet:
    """Keeps the keys of ``issuer`` current until it is closed; create it in the event loop that uses it.

    ``on_read`` is told of each reading whether it succeeded, ``on_change`` that the keys are others than before.
    """

    def __init__(self, issuer: Issuer, on_read: OnRead, on_change: Callable[[], None]) -> None:
        self.issuer = issuer
        self._keys: tuple[SigningKey, ...] = ()
        self._on_read = on_read
        self._on_change = on_change
        self._document = b""
        self._about = f"keys of {issuer.name}"  # in the log, by which `switchyard status` knows what cannot be used now
        self._failed = False
        self._tls: ssl.SSLContext | None = None
        self._loop = asyncio.get_running_loop()
        self._asked = asyncio.Event()
        self._reading: asyncio.Future[None] | None = self._loop.create_future()
        self._read_at = 0.0
        self._waiting = 0
        self._follower = self._loop.create_task(self._follow())

    def close(self) -> None:
        self._follower.cancel()
        if self._failed:
            logger.info("an issuer is not asked any more", extra={"issuer": self.issuer.name, "solved": self._about})

    async def find(self, kid: str, algorithm: str) -> SigningKey:
        """Return the key that a token names by ``kid`` for ``algorithm``; without a name, the only one that fits.

        Raises:
            RejectedTokenError: the issuer has no such key.
            ApiError: no keys of the issuer could be read so far.
        """
        if not self._named(kid):
            await self._read_again()
        named = self._named(kid)
        if not self._keys:
            raise ApiError(
                "issuer_unavailable", f"the keys of {self.issuer.name} cannot be read; try again", retry_after=5
            )
        if not named:
            raise RejectedTokenError(
                "token_key", "the token is signed by a key that its issuer does not have; renew it"
            )
        fitting = [key for key in named if key.fits(algorithm)]
        if not fitting:
            raise RejectedTokenError("token_algorithm", f"the token's key is not one for {shown(algorithm)}")
        if len(fitting) > 1 and not kid:
            raise RejectedTokenError("token_key", "the token does not say by which of its issuer's keys it is signed")
        return fitting[0]

    def _named(self, kid: str) -> list[SigningKey]:
        return [key for key in self._keys if not kid or key.kid == kid]

    async def _read_again(self) -> None:
        """Wait, for a bounded time, for a reading that is going on or that may begin now."""
        if self._reading is None:
            if self._loop.time() - self._read_at < _ASK_SECONDS:
                return
            self._reading = self._loop.create_future()
            self._asked.set()
        if self._waiting >= _MOST_WAITING:
            return
        self._waiting += 1
        try:
            await asyncio.wait({self._reading}, timeout=_WAIT_SECONDS)
        finally:
            self._waiting -= 1

    async def _follow(self) -> None:
        while True:
            if self._reading is None:
                self._reading = self._loop.create_future()
            self._asked.clear()
            valid = await self._read()
            self._read_at = self._loop.time()
            self._reading.set_result(None)
            self._reading = None
            self._on_read(valid)
            age = self.issuer.refresh_seconds
            with suppress(TimeoutError):
                async with asyncio.timeout(age if valid else min(age, _RETRY_SECONDS)):
                    await self._asked.wait()

    async def _read(self) -> bool:
        issuer = self.issuer
        try:
            document = await (
                self._fetched()
                if issuer.jwks_url
                else asyncio.to_thread(read_file, Path(issuer.jwks_file), _DOCUMENT_BYTES)
            )
            keys = self._keys if document == self._document else read_keys(document)
        except (OSError, ValueError, UpstreamError) as err:
            source = issuer.jwks_url or issuer.jwks_file
            fields = {"problem": self._about}
            logger.error("the last good keys of %s stay in force: %s: %s", issuer.name, source, err, extra=fields)
            self._failed = True
            return False
        if document != self._document:
            self._document, self._keys = document, keys
            self._on_change()
        elif not self._failed:
            return True
        self._failed = False
        logger.info("keys of an issuer read", extra={"issuer": issuer.name, "keys": len(keys), "solved": self._about})
        return True

    async def _of_file(self) -> bytes:
        return await asyncio.to_thread(read_file, Path(self.issuer.jwks_file), _DOCUMENT_BYTES)

    async def _fetched(self) -> bytes:
        """Get the document by its URL; a redirect is not followed, as it may lead anywhere."""
        if self._tls is None and self.issuer.jwks_url.startswith("https:"):
            self._tls = await asyncio.to_thread(ssl.create_default_context)  # reads all authorities, for 20 ms
        client = Client(Limits(response_bytes=_DOCUMENT_BYTES), self._tls)
        try:
            async with asyncio.timeout(_READ_SECONDS):
                headers = [(b"accept", b"application/json"), (b"user-agent", b"switchyard")]
                response = await client.request(b"GET", self.issuer.jwks_url, headers, timeouts=Timeouts())
                body = await response.read()
                response.close()
        except TimeoutError as err:
            raise OSError(f"no response within {_READ_SECONDS:g} s") from err
        finally:
            await client.aclose()
        if response.status != 200:
            raise OSError(f"the response is {response.status}")
        return body
