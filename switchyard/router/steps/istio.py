"""Detects an Istio sidecar, which encrypts what the router sends in plain text."""

import asyncio

from switchyard.http.client import Client, Timeouts
from switchyard.http.client.errors import UpstreamError

_SIDECAR = "http://localhost:15000/"
_SECONDS = 3.0


class IstioSidecar:
    """Probes the sidecar's administration port once, at the first https step, as KServe's router does.

    https://istio.io/latest/docs/ops/deployment/application-requirements/#ports-used-by-istio
    """

    def __init__(self, client: Client, sidecar: str = _SIDECAR) -> None:
        self._client = client
        self._sidecar = sidecar
        self._asked: asyncio.Task[bool] | None = None

    async def plain_url(self, url: str) -> str:
        """Return ``url`` with http for https when a sidecar encrypts, because TLS inside its mTLS would fail."""
        # Not at the start, when the sidecar may not listen yet, and once, because a pod's containers do not change.
        # Shielded: the first request may be cancelled while others wait for the same task.
        if self._asked is None:
            self._asked = asyncio.get_running_loop().create_task(self._ask())
        return "http" + url.removeprefix("https") if await asyncio.shield(self._asked) else url

    async def _ask(self) -> bool:
        timeouts = Timeouts(connect=_SECONDS, first_byte=_SECONDS, idle=_SECONDS)
        try:
            response = await self._client.request(b"GET", self._sidecar, [], timeouts=timeouts)
        except UpstreamError:
            return False
        response.close()
        return response.status == 200
