"""Prefixes in the KV cache are a tenant's own."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from predictors.serving.cache_isolation import TenantOfRequest, isolate, salt
from switchyard.http.asgi import Message, Receive, Scope, Send


@dataclass
class Request:
    """What the isolation knows of an engine's request."""

    cache_salt: str | None = None


@dataclass
class Core:
    """The engine's side, which keeps what it gets."""

    got: list[str | None] = field(default_factory=list)

    async def add_request_async(self, request: Any) -> None:
        self.got.append(request.cache_salt)


async def salts(*requests: tuple[bytes | None, str | None]) -> list[str | None]:
    """The salts that reach the engine from requests of a tenant with a salt of their own, all at the same time."""
    core = Core()
    isolate(core)
    arrived = asyncio.Barrier(len(requests))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await arrived.wait()  # all are inside the application before the first goes on
        await asyncio.create_task(core.add_request_async(Request(scope["given"])))  # vLLM makes tasks of its own

    async def receive() -> Message:
        raise AssertionError("nothing is received")

    async def send(message: Message) -> None:
        raise AssertionError("nothing is sent")

    async def one(tenant: bytes | None, given: str | None) -> None:
        sent = [] if tenant is None else [(b"x-switchyard-tenant", tenant)]
        await TenantOfRequest(app)({"type": "http", "headers": sent, "given": given}, receive, send)

    async with asyncio.TaskGroup() as group:
        for tenant, given in requests:
            group.create_task(one(tenant, given))
    return core.got


async def test_each_tenant_has_salts_of_its_own() -> None:
    got = await salts((b"acme", None), (b"globex", None), (b"acme", "mine"), (b"globex", "mine"))
    assert None not in got
    assert len(set(got)) == 4


async def test_requests_of_one_tenant_share_their_prefixes() -> None:
    first, second = await salts((b"acme", None), (b"acme", None))
    assert first == second


async def test_without_tenants_the_clients_salt_stands() -> None:
    assert {*await salts((None, None), (None, "mine"))} == {None, "mine"}


@pytest.mark.parametrize("given", ["acme", "acme\0", "\0acme", salt("acme", None), salt("acme", "x")])
def test_no_salt_of_a_client_leads_into_another_tenants_blocks(given: str) -> None:
    assert salt("globex", given) not in {salt("acme", None), salt("acme", "x"), salt("acme", given), None}


def test_a_salt_is_one_that_vllm_takes() -> None:
    made = salt("acme", "x" * 1000)
    assert made is not None
    assert len(made) <= 128
    assert made.isalnum()
