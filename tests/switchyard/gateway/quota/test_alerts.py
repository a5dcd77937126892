"""Budgets that are used to a part are told once: in the log, a metric and a webhook that proves who sent it."""

import asyncio
import base64
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai
import pytest
from prometheus_client import CollectorRegistry

from switchyard.backoff import Backoff
from switchyard.gateway.quota import alerts as module
from switchyard.gateway.quota.alerts import Alerts
from switchyard.gateway.quota.claims import AppliedLimit
from switchyard.gateway.quota.webhook import Webhook, WebhookError, read_secret, warn_if_shared
from switchyard.gateway.tenants.limits import Limit
from switchyard.http.asgi import Receive, Scope, Send
from switchyard.store.contract import StoreError
from switchyard.store.ledger import Level
from switchyard.store.redis_ledger import RedisLedger
from switchyard.store.sqlite_ledger import SqliteLedger
from switchyard.telemetry.metrics.gateway import UsageMetrics
from tests.switchyard.gateway.conftest import Bench, gateway, running, until
from tests.switchyard.gateway.quota.limited import HEADERS, Away, counting, ledger, metric, tenants

SECRET = "whsec_" + base64.b64encode(b"a secret of this test alone").decode()
TOKENS = {"limit": "tokens", "most": 1000, "per": "day"}
LIMIT = Limit("tokens", 1000, "day")
SOON = Backoff(first=0.001, most=0.001)


@dataclass
class Receiver:
    """A server of webhooks: it answers with the next of ``statuses``, else 204, and keeps what it got."""

    statuses: list[int] = field(default_factory=list)
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    silent: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    def __post_init__(self) -> None:
        self.silent.set()  # cleared by whoever wants no response

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = (await receive())["body"]
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.got.append((scope["path"], headers, body))
        await self.silent.wait()
        status = self.statuses.pop(0) if self.statuses else 204
        await send({"type": "http.response.start", "status": status, "headers": [(b"location", b"/elsewhere")]})
        await send({"type": "http.response.body", "body": b""})

    @property
    def said(self) -> list[dict[str, Any]]:
        return [json.loads(body)["data"] for _, _, body in self.got]

    @property
    def percents(self) -> list[int]:
        return sorted(one["percent"] for one in self.said)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    one = Receiver()
    async with running(one) as url:
        one.url = f"{url}/budgets"
        try:
            yield one
        finally:
            one.silent.set()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n")
    return path


@asynccontextmanager
async def told(
    folder: Path,
    url: str,
    receiver: Receiver,
    secret: Path,
    *limits: dict[str, Any],
    used: tuple[int, int] = (400, 100),
) -> AsyncIterator[Bench]:
    """A gateway that tells ``receiver`` of acme's budgets; each call takes ``used`` tokens."""
    settings: dict[str, Any] = {"budget_webhook_url": receiver.url, "budget_webhook_secret_file": secret}
    async with ledger(url) as opened:
        file = await tenants(folder, *limits)
        async with gateway(folder, counting(*used), tenants=file, ledger=opened, **settings) as bench:
            bench.http.headers.update(HEADERS)
            yield bench


@dataclass
class Clock:
    now: float = field(default_factory=time.time)

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def on_one_store(url: str) -> AsyncIterator[tuple[Callable[[Webhook | None], Alerts], Clock]]:
    """Makes the alerts of gateways that share a store."""
    clock = Clock()
    path = url.removeprefix("sqlite://")
    opened = SqliteLedger(Path(path), clock=clock) if path != url else RedisLedger(url, clock=clock)

    made: list[Alerts] = []

    def make(webhook: Webhook | None) -> Alerts:
        metrics = UsageMetrics(CollectorRegistry())
        made.append(Alerts(opened, metrics, (50, 80, 100), webhook, backoff=SOON, now=clock))
        return made[-1]

    try:
        yield make, clock
    finally:
        for one in made:
            await one.aclose()
        await opened.aclose()


def budget(counter: str = "tenant tokens") -> AppliedLimit:
    return AppliedLimit(LIMIT, "tenant acme", counter, time.time() + 86400)


def use(alerts: Alerts, used: int, of: AppliedLimit) -> None:
    alerts.settled("acme", [of], [Level(used, 0.0)])


async def test_a_webhook_tells_each_part_once_and_its_signature_is_verified_as_the_page_says(
    tmp_path: Path, url: str, receiver: Receiver, secret: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with told(tmp_path, url, receiver, secret, TOKENS) as bench:
        assert (await bench.chat()).status_code == 200
        await until(lambda: receiver.percents == [50])
        assert (await bench.chat()).status_code == 200
        await until(lambda: receiver.percents == [50, 80, 100])
        assert (await bench.chat()).status_code == 429
        assert await metric(bench, 'gateway_budget_alerts_total{limit="tokens",per="day",percent="80"} 1.0')
        assert await metric(bench, 'gateway_webhook_attempts_total{outcome="delivered"} 3.0')
    first = receiver.said[0]
    assert first.pop("ends") > time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    assert first == {
        **{"tenant": "acme", "of": "tenant acme", "limit": "tokens", "per": "day", "models": ["*"]},
        **{"percent": 50, "used": 500, "most": 1000, "denied": False, "shadow": False},
    }
    texts = [json.loads(body)["text"] for _, _, body in receiver.got]
    assert "tenant acme has used 50 % of its 1000 tokens per day: 500. The next day begins at 2" in "".join(texts)
    verify = openai.OpenAI(api_key="none").webhooks.verify_signature
    for _, headers, body in receiver.got:
        verify(body, headers, secret=SECRET)
        with pytest.raises(openai.InvalidWebhookSignatureError):
            verify(body.replace(b"acme", b"evil"), headers, secret=SECRET)
        with pytest.raises(openai.InvalidWebhookSignatureError):
            verify(body, {**headers, "webhook-timestamp": str(int(time.time()) - 10)}, secret=SECRET)
    logged = [one for one in caplog.records if one.msg == "a budget is used to %d %%"]
    assert sorted(one.args for one in logged) == [(50,), (80,), (100,)]  # type: ignore[type-var]
    assert "whsec" not in caplog.text


async def test_a_budget_of_dollars_is_told_in_dollars(
    tmp_path: Path, url: str, receiver: Receiver, secret: Path
) -> None:
    limits = {"limit": "dollars", "most": 2, "per": "month", "shadow": True}
    async with told(tmp_path, url, receiver, secret, limits, used=(1000, 100)) as bench:  # 1.5 dollars
        await bench.chat()
        await until(lambda: receiver.percents == [50])
    (said,) = receiver.said
    assert (said["used"], said["most"], said["limit"], said["shadow"]) == (1.5, 2, "dollars", True)


async def test_a_call_that_is_denied_tells_that_the_budget_is_used_up(
    tmp_path: Path, url: str, receiver: Receiver, secret: Path
) -> None:
    limit = {**TOKENS, "models": ["chat"]}
    async with told(tmp_path, url, receiver, secret, limit, used=(900, 1)) as bench:
        await bench.chat()
        await until(lambda: receiver.percents == [50, 80])
        assert (await bench.chat(metadata={"long": "x" * 800})).status_code == 429
        await until(lambda: receiver.percents == [50, 80, 100])
    assert [(one["used"], one["denied"]) for one in receiver.said if one["percent"] == 100] == [(901, True)]


async def test_no_call_waits_for_a_receiver(tmp_path: Path, url: str, receiver: Receiver, secret: Path) -> None:
    receiver.silent.clear()
    async with told(tmp_path, url, receiver, secret, TOKENS) as bench:
        assert (await bench.chat()).status_code == 200
        await until(lambda: len(receiver.got) == 1)
        assert (await bench.chat()).status_code == 200
        receiver.silent.set()


async def test_a_limit_of_a_minute_is_no_budget(tmp_path: Path, url: str, receiver: Receiver, secret: Path) -> None:
    limits = ({"limit": "tokens", "most": 500, "per": "minute"}, {"limit": "requests", "most": 2, "per": "day"})
    async with told(tmp_path, url, receiver, secret, *limits) as bench:
        await bench.chat()
        await until(lambda: len(receiver.got) == 1)
    assert [one["limit"] for one in receiver.said] == ["requests"]


async def test_gateways_of_one_store_tell_once(
    url: str, receiver: Receiver, secret: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with on_one_store(url) as (make, _):
        gateways = [make(Webhook(receiver.url, secret)) for _ in range(4)]
        of = budget()
        for _ in range(3):
            for one in gateways:
                use(one, 900, of)
        await until(lambda: receiver.percents == [50, 80])
        await until(lambda: not any(one._tasks for one in gateways))
        late = make(Webhook(receiver.url, secret))
        use(late, 900, of)
        await until(lambda: not late._tasks)
    assert receiver.percents == [50, 80]
    assert len([one for one in caplog.records if one.msg == "a budget is used to %d %%"]) == 2


async def test_a_message_that_fails_is_sent_again_with_its_id_and_redirects_lead_nowhere(
    url: str, receiver: Receiver, secret: Path
) -> None:
    receiver.statuses = [500, 302, 404]
    async with on_one_store(url) as (make, _):
        use(make(Webhook(receiver.url, secret)), 500, budget())
        await until(lambda: len(receiver.got) == 4)
    assert {path for path, _, _ in receiver.got} == {"/budgets"}
    assert len({headers["webhook-id"] for _, headers, _ in receiver.got}) == 1


async def test_what_was_not_delivered_is_tried_again_by_a_later_call_without_a_second_line_in_the_log(
    url: str, receiver: Receiver, secret: Path, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.statuses = [500] * 8
    async with on_one_store(url) as (make, clock):
        alerts, of = make(Webhook(receiver.url, secret)), budget()
        use(alerts, 500, of)
        await until(lambda: not alerts._tasks)
        assert len(receiver.got) == 8
        use(alerts, 500, of)
        assert not alerts._tasks
        clock.now += 121
        use(alerts, 500, of)
        await until(lambda: not alerts._tasks)
    assert len(receiver.got) == 9
    assert len([one for one in caplog.records if one.msg == "a budget is used to %d %%"]) == 1


async def test_another_gateway_goes_on_where_one_was_killed(url: str, receiver: Receiver, secret: Path) -> None:
    receiver.silent.clear()
    async with on_one_store(url) as (make, clock):
        killed, other, of = make(Webhook(receiver.url, secret)), make(Webhook(receiver.url, secret)), budget()
        use(killed, 500, of)
        await until(lambda: len(receiver.got) == 1)
        use(other, 500, of)
        await until(lambda: not other._tasks)
        assert len(receiver.got) == 1
        clock.now += 121  # the lease of the one that says nothing more is over
        use(other, 500, of)
        await until(lambda: len(receiver.got) == 2)
        receiver.silent.set()
        await until(lambda: not (killed._tasks or other._tasks))
    assert len({headers["webhook-id"] for _, headers, _ in receiver.got}) == 1


async def test_another_gateway_goes_on_at_once_where_one_was_stopped(
    url: str, receiver: Receiver, secret: Path
) -> None:
    receiver.silent.clear()
    async with on_one_store(url) as (make, _):
        stopped, other, of = make(Webhook(receiver.url, secret)), make(Webhook(receiver.url, secret)), budget()
        use(stopped, 500, of)
        await until(lambda: len(receiver.got) == 1)
        await stopped.aclose()
        receiver.silent.set()
        use(stopped, 900, of)
        use(other, 500, of)
        await until(lambda: not other._tasks)
    assert receiver.percents == [50, 50]
    assert len({headers["webhook-id"] for _, headers, _ in receiver.got}) == 1


async def test_no_more_alerts_wait_than_a_number(
    url: str, receiver: Receiver, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_WAITING", 2)
    receiver.silent.clear()
    async with on_one_store(url) as (make, _):
        alerts = make(Webhook(receiver.url, secret))
        budgets = [budget(f"key/{number} tokens") for number in range(3)]
        for of in budgets:
            use(alerts, 500, of)
        assert len(alerts._tasks) == 2
        receiver.silent.set()
        await until(lambda: not alerts._tasks)
        use(alerts, 500, budgets[2])
        await until(lambda: len(receiver.got) == 3)
        await until(lambda: not alerts._tasks)


async def test_a_store_that_is_away_is_no_error_of_the_call(url: str, caplog: pytest.LogCaptureFixture) -> None:
    async with ledger(url) as opened:
        away = Away(opened)
        alerts = Alerts(away, UsageMetrics(CollectorRegistry()), (50,))
        away.away = True
        use(alerts, 500, budget())
        await until(lambda: not alerts._tasks)
    assert "the store does not say whether" in caplog.text
    with pytest.raises(StoreError):
        away._check()


async def test_what_cannot_be_sent_says_why(tmp_path: Path, url: str, secret: Path) -> None:
    for url, path in (("http://127.0.0.1:1/x", secret), ("http://127.0.0.1:1/x", tmp_path / "none")):
        with pytest.raises(WebhookError):
            await Webhook(url, path).send("id", b"{}")


def test_a_secret_is_text_or_base64(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    for text, expected in (("plain\n", b"plain"), (SECRET, b"a secret of this test alone")):
        path.write_text(text)
        assert read_secret(path) == expected
    for wrong in ("", "  \n", "whsec_!"):
        path.write_text(wrong)
        with pytest.raises(ValueError, match="secret"):
            read_secret(path)


@pytest.mark.parametrize(("mode", "told"), [(0o600, False), (0o640, False), (0o644, True)])
def test_a_secret_that_everybody_can_read_is_said(
    mode: int, told: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "secret"
    path.touch()
    path.chmod(mode)
    warn_if_shared(path)
    assert ("everybody on this machine can read" in caplog.text) is told
