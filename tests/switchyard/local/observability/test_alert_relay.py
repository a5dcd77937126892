"""Messages of alerts on their way from Alertmanager to the webhook."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from switchyard.http.server import Exchange, Handler
from switchyard.local.activator.listener import Listener, loopback_socket
from switchyard.local.observability import alert_relay
from switchyard.local.observability.alert_relay import AlertRelay

KEY = {"authorization": "Bearer of the run"}
MESSAGE = b'{"alerts": []}'


class Webhook:
    """Responds with ``status``, once it is ``open``."""

    def __init__(self) -> None:
        self.status = 200
        self.open = asyncio.Event()
        self.open.set()
        self.bodies: list[bytes] = []

    async def handle(self, exchange: Exchange) -> None:
        self.bodies.append(await exchange.body(1 << 20))
        await self.open.wait()
        exchange.respond(self.status, [(b"location", b"/elsewhere")] if self.status == 302 else [])


@asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[str]:
    socket, listener = loopback_socket(), Listener(handler)
    await listener.listen(socket)
    try:
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        await listener.stop(5)


@asynccontextmanager
async def relaying(webhook: Webhook) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        listening(webhook.handle) as there,
        listening(AlertRelay(f"{there}/secret", "of the run").handle) as here,
        httpx.AsyncClient(base_url=here, trust_env=False, timeout=30) as http,
    ):
        yield http


async def test_a_message_with_the_key_of_the_run_is_sent_on_as_it_is() -> None:
    webhook = Webhook()
    async with relaying(webhook) as http:
        assert (await http.post("/alerts", content=MESSAGE, headers=KEY)).status_code == 200
    assert webhook.bodies == [MESSAGE]


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer another"}, {"authorization": ""}])
async def test_without_the_key_nothing_is_sent(headers: dict[str, str]) -> None:
    webhook = Webhook()
    async with relaying(webhook) as http:
        assert (await http.post("/alerts", content=MESSAGE, headers=headers)).status_code == 401
        assert (await http.get("/alerts", headers=KEY)).status_code == 405
    assert webhook.bodies == []


@pytest.mark.parametrize(("status", "told"), [(204, 200), (400, 400), (500, 500), (302, 502)])
async def test_alertmanager_gets_the_webhooks_status_and_repeats_by_it(status: int, told: int) -> None:
    webhook = Webhook()
    webhook.status = status
    async with relaying(webhook) as http:
        assert (await http.post("/alerts", content=MESSAGE, headers=KEY)).status_code == told
    assert webhook.bodies == [MESSAGE]


async def test_a_webhook_that_is_away_is_a_failure_that_does_not_show_its_address(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    with loopback_socket() as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/secret"
        async with (
            listening(AlertRelay(url, "of the run").handle) as here,
            httpx.AsyncClient(trust_env=False) as http,
        ):
            response = await http.post(f"{here}/alerts", content=MESSAGE, headers=KEY)
    assert (response.status_code, response.content) == (502, b"")
    assert "does not respond" in caplog.text
    assert "secret" not in caplog.text


async def test_what_is_too_much_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_relay, "_BODY_BYTES", 100)
    webhook = Webhook()
    webhook.open.clear()
    async with relaying(webhook) as http:
        assert (await http.post("/alerts", content=b"a" * 101, headers=KEY)).status_code == 413
        async with asyncio.TaskGroup() as group:
            held = [group.create_task(http.post("/alerts", content=MESSAGE, headers=KEY)) for _ in range(4)]
            while len(webhook.bodies) < 4:
                await asyncio.sleep(0.01)
            assert (await http.post("/alerts", content=MESSAGE, headers=KEY)).status_code == 503
            webhook.open.set()
        assert [one.result().status_code for one in held] == [200] * 4


async def test_a_webhook_that_is_too_slow_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_relay, "_SECONDS", 0.1)
    webhook = Webhook()
    webhook.open.clear()
    async with relaying(webhook) as http:
        assert (await http.post("/alerts", content=MESSAGE, headers=KEY)).status_code == 502
        webhook.open.set()
