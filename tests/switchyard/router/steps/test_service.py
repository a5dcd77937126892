"""Calls of a step: where they go, and when they are repeated."""

import asyncio
from typing import Any

import pytest

from switchyard.http.client import Client
from switchyard.http.server import Server
from switchyard.http.server.exchange import Exchange
from switchyard.router.steps.istio import IstioSidecar
from switchyard.router.steps.retry import Retry, RetryBudget
from tests.switchyard.router.running import Call, Script, Services, always, node, router, services


async def test_a_url_with_a_path_gets_a_post_to_exactly_that() -> None:
    async with services() as behind:
        step = {"name": "a", "serviceUrl": behind.url + "/v2/models/m/infer?x=1"}
        async with router(behind, {"root": node("Sequence", step)}) as one:
            await one.http.get("/openai/v1/models?y=2")
            assert (behind.calls[0].exchange.method, behind.calls[0].exchange.target) == (
                b"POST",
                b"/v2/models/m/infer?x=1",
            )


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
async def test_a_url_without_a_path_gets_the_requests_own_method_path_and_query(method: str) -> None:
    async with services() as behind:
        step = {"name": "a", "serviceUrl": behind.url}
        async with router(behind, {"root": node("Sequence", step)}) as one:
            for target in ("/openai/v1/chat/completions", "/v2/models/a%20b/infer?q=%2F&r"):
                await one.http.request(method, target)
                exchange = behind.calls[-1].exchange
                assert (exchange.method, exchange.target) == (method.encode(), target.encode())


def one_step(behind: Services) -> dict[str, Any]:
    return {"root": node("Sequence", behind.step("a"))}


def failing(times: int, status: int = 503, *headers: tuple[bytes, bytes]) -> Script:
    """A service that fails ``times`` times and then answers."""
    left = times

    async def script(call: Call) -> None:
        nonlocal left
        left -= 1
        call.answer({"left": left}, 200 if left < 0 else status, *headers)

    return script


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_an_unavailable_service_is_asked_again(status: int) -> None:
    async with (
        services(a=failing(2, status)) as behind,
        router(behind, {"root": node("Sequence", behind.step("a"))}) as one,
    ):
        assert (await one.post()).status_code == 200
        assert [call.body for call in behind.calls] == [b"{}"] * 3
        assert one.metric('graph_step_retries_total{node="root",step="a"} 2.0')


async def test_a_service_that_stays_unavailable_has_its_response_passed_on() -> None:
    async with (
        services(a=always(503, {"busy": 1})) as behind,
        router(behind, {"root": node("Sequence", behind.step("a"))}) as one,
    ):
        answer = await one.post()
        assert (answer.status_code, answer.json(), len(behind.calls)) == (503, {"busy": 1}, 3)


@pytest.mark.parametrize(
    "script",
    [
        *(always(500, {}), always(429, {})),
        *(always(503, {}, (b"retry-after", b"1")), always(503, {}, (b"x-should-retry", b"false"))),
    ],
)
async def test_other_failures_and_services_that_say_when_are_not_asked_again(script: Script) -> None:
    async with services(a=script) as behind, router(behind, one_step(behind)) as one:
        await one.post()
        assert len(behind.calls) == 1


async def test_a_service_that_closes_without_a_response_is_called_once_more() -> None:
    async def dies(call: Call) -> None:
        call.exchange.abort()

    async with (
        services(a=dies) as behind,
        router(behind, {"root": node("Sequence", behind.step("a"))}, retry=Retry(attempts=5)) as one,
    ):
        answer = await one.post()
        assert answer.status_code == 500
        assert "closed the connection" in answer.json()["cause"]
        assert len(behind.calls) == 2


async def test_repeats_are_a_small_share_of_requests() -> None:
    async with (
        services(a=always(503, {})) as behind,
        router(behind, {"root": node("Sequence", behind.step("a"))}) as one,
    ):
        for _ in range(100):
            await one.post()
        assert len(behind.calls) <= 100 + 10 + 100 * 0.2


def test_a_budget_is_earned_by_requests_and_never_more_than_it_began_with() -> None:
    budget = RetryBudget(share=0.5, most=2)
    assert [budget.spend() for _ in range(3)] == [True, True, False]
    budget.earn()
    assert not budget.spend()
    budget.earn()
    assert budget.spend()
    for _ in range(100):
        budget.earn()
    assert [budget.spend() for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize(("status", "expected"), [(200, "http://a/b"), (404, "https://a/b")])
async def test_https_is_left_to_an_istio_sidecar_that_is_there(status: int, expected: str) -> None:
    asked = 0

    async def sidecar(exchange: Exchange) -> None:
        nonlocal asked
        asked += 1
        exchange.respond(status, [])

    server, client = Server(sidecar), Client()
    istio_sidecar = IstioSidecar(client, f"http://127.0.0.1:{await server.listen('127.0.0.1', 0)}/")
    urls = await asyncio.gather(*(istio_sidecar.plain_url("https://a/b") for _ in range(5)))
    assert urls == [expected] * 5
    assert asked == 1
    await client.aclose()
    await server.aclose()


async def test_without_a_sidecar_https_stays_https() -> None:
    client = Client()
    assert await IstioSidecar(client, "http://127.0.0.1:1/").plain_url("https://a/b") == "https://a/b"
    await client.aclose()
