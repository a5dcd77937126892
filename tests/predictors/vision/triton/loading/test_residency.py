"""Which models stay in memory when there is not room for all."""

import asyncio

import pytest

from predictors.vision.triton.control import control_request
from predictors.vision.triton.loading.residency import Limits
from switchyard.http.api_errors import ApiError
from tests.predictors.vision.triton.loading.server import Server, loaded_models, use


@pytest.mark.parametrize("limits", [Limits(models=2), Limits(bytes=25)])
async def test_the_least_recently_used_models_make_room(limits: Limits) -> None:
    server = Server("a", "b", "c", "d")
    server.sizes = dict.fromkeys("abcd", 10)
    account = loaded_models(server, limits=limits)
    for name in "abacad":
        await use(account, name)
    assert server.orders == ["+a", "+b", "-b", "+c", "-c", "+d"]
    assert account.states()["d"].memory == 10


async def test_what_is_used_pinned_or_needed_makes_no_room_and_the_error_has_the_sum() -> None:
    server = Server("used", "pinned", "step", "other", whole="step")
    server.sizes = dict.fromkeys(server.names, 1_000_000_000)
    server.pinned = {"pinned"}
    account = loaded_models(server, limits=Limits(bytes=4_500_000_000))
    await use(account, "pinned")
    async with account.use("used"), account.use("whole"):
        with pytest.raises(
            ApiError, match=r"'other' needs 1.0 GB, and of the 4.5 GB .*used \(1.0 GB\).* are in use"
        ) as no:
            await use(account, "other")
        assert no.value.status == 503
        assert dict(no.value.headers)[b"retry-after"] == b"1"
    await use(account, "other")  # in place of the model whose step was needed
    assert server.loaded == {"used", "pinned", "step", "other"}
    await account.residency.sweep()
    assert server.loaded == {"pinned"}


async def test_a_model_that_can_never_fit_unloads_nothing() -> None:
    server = Server("small", "large")
    server.sizes = {"small": 1, "large": 5_000_000_000}
    account = loaded_models(server, limits=Limits(bytes=4_000_000_000))
    await use(account, "small")
    with pytest.raises(ApiError, match=r"'large' needs 5.0 GB, and all models together may take 4.0 GB"):
        await use(account, "large")
    with pytest.raises(ApiError, match="may take"):
        await account.load("large")
    assert server.loaded == {"small"}


async def test_many_that_want_different_models_at_once_never_exceed_the_limit() -> None:
    server = Server(*"abcdefgh")
    account, most = loaded_models(server, limits=Limits(models=2)), 0
    server.sizes = dict.fromkeys(server.names, 1)

    async def ask(name: str) -> None:
        nonlocal most
        while True:
            try:
                await use(account, name)
            except ApiError:
                await asyncio.sleep(0)
            else:
                break
            finally:
                most = max(most, len(server.loaded))

    async with asyncio.timeout(30):
        await asyncio.gather(*(ask(name) for name in "abcdefgh" * 3))
    assert most == 2


async def test_the_time_of_a_load_is_told_while_the_model_is_loaded_and_failures_are_counted() -> None:
    server = Server("a", "b")
    server.broken = {"b": "no weights"}
    account = loaded_models(server)
    labels = {"model": "a", "phase": "load"}
    await use(account, "a")
    assert server.registry.get_sample_value("model_load_time_seconds", labels) is not None
    await account.unload("a", control_request("a"))
    assert server.registry.get_sample_value("model_load_time_seconds", labels) is None
    with pytest.raises(ApiError, match="no weights"):
        await use(account, "b")
    server.away = True
    with pytest.raises(ApiError):
        await use(account, "a")
    failures = "model_load_failures_total"
    assert server.registry.get_sample_value(failures, {"model": "b", "reason": "content"}) == 1
