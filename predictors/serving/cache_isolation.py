"""Keeps apart in the KV cache what belongs to different tenants.

A request whose prefix is cached starts sooner, and so tells whoever measures it that somebody has asked the same.
vLLM's ``cache_salt`` goes into the hash of a prompt's first block, and thereby of all: only requests with the same salt
share blocks. https://docs.vllm.ai/en/latest/design/prefix_caching.html
"""

import hashlib
from contextvars import ContextVar
from typing import Any

from switchyard.http.asgi import App, Receive, Scope, Send
from switchyard.http.asgi.replies import header
from switchyard.http.headers import TENANT

_tenant: ContextVar[str] = ContextVar("tenant", default="")


class TenantOfRequest:
    """ASGI middleware around vLLM's application, through which V2 requests go too: notes whose request this is."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            _tenant.set(header(scope, TENANT) or "")
        await self._app(scope, receive, send)


def isolate(engine_core: Any) -> None:
    """Let every request of a tenant reach the engine with that tenant's salt, whichever route and task it came by."""
    add = engine_core.add_request_async

    async def add_salted(request: Any) -> None:
        request.cache_salt = salt(_tenant.get(), request.cache_salt)
        await add(request)

    engine_core.add_request_async = add_salted


def salt(tenant: str, given: str | None) -> str | None:
    """Return the salt of a tenant's request that asks for the salt ``given``; without a tenant that is the salt.

    It is a hash of both: no client can ask for one that leads into another tenant's blocks.
    """
    if not tenant:
        return given
    return hashlib.sha256(f"{tenant}\0{given or ''}".encode()).hexdigest()
