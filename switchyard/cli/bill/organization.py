"""Asks a gateway for usage, by the routes that tenants and admins have."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from switchyard.http.client import Client, Limits
from switchyard.http.client.errors import UpstreamError

_PAGE_BYTES = 64 * 1024 * 1024  # 1000 rows have less than one; days of many thousand keys some tens
_PAGE_SECONDS = 120.0

Parameters = Mapping[str, str | int | Sequence[str]]


class BillError(Exception):
    """The gateway cannot be asked, or did not say what was asked for; the message says what to do."""


class Organization:
    """The gateway at ``url``, as ``key`` may see it. Redirects are not followed: they would get the key."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url.rstrip("/")
        if urlsplit(self._url).scheme not in ("http", "https"):
            raise BillError(f"{url!r} is no URL of a gateway; use one as http://localhost:8000")
        self._headers = [(b"authorization", b"Bearer " + quote(key, safe="-._~+/=").encode())]
        self._client = Client(Limits(response_bytes=_PAGE_BYTES))

    async def pages(self, path: str, parameters: Parameters) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        """Yield the data of each page.

        Raises:
            BillError: the gateway does not respond, or responds with an error.
        """
        page = ""
        while True:
            asked = {**parameters, **({"page": page} if page else {})}
            found = await self._get(f"{self._url}/v1/organization/{path}?{urlencode(asked, doseq=True)}")
            yield found["data"]
            if not (page := found["next_page"]):
                return

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _get(self, url: str) -> Mapping[str, Any]:
        try:
            async with asyncio.timeout(_PAGE_SECONDS):
                response = await self._client.request(b"GET", url, self._headers)
                try:
                    body = await response.read()
                finally:
                    response.close()
        except (UpstreamError, OSError, ValueError, TimeoutError) as err:
            raise BillError(f"the gateway at {self._url} does not respond: {err}; name it by --url") from err
        try:
            said = json.loads(body)
            if response.status == 200:
                return {"data": said["data"], "next_page": said["next_page"]}
            message = said["error"]["message"]
        except (ValueError, KeyError, TypeError):
            raise BillError(f"{self._url} responds with {response.status} and is no gateway of Switchyard") from None
        raise BillError(f"the gateway says: {message} ({response.status})")
