"""Who is in memory, with a Triton that is a set of names."""

import asyncio
from itertools import count
from pathlib import Path

import pytest

from predictors.vision.triton.control import control_request
from predictors.vision.triton.loading.operations import SWITCHES
from switchyard.http.api_errors import ApiError
from tests.predictors.vision.triton.loading.server import Server, loaded_models, ordered, use


async def test_a_model_is_loaded_by_its_first_request_only() -> None:
    server = Server("a")
    account = loaded_models(server)
    assert await use(account, "a") == "a"
    await use(account, "a")
    assert server.orders == ["+a"]


async def test_many_that_wait_load_it_once_even_when_the_first_gives_up() -> None:
    server = Server("a")
    server.gate.clear()
    account = loaded_models(server)
    waiting = [asyncio.ensure_future(use(account, "a")) for _ in range(4)]
    await ordered(server, "+a")
    waiting[0].cancel()
    await asyncio.sleep(0)
    server.gate.set()
    assert await asyncio.gather(*waiting[1:]) == ["a"] * 3
    assert server.orders == ["+a"]


async def test_steps_are_loaded_with_the_model_and_together_once_they_are_known() -> None:
    server = Server("step", "other", whole="step other", outer="whole")
    account = loaded_models(server)
    await use(account, "outer")
    assert sorted(server.loaded) == ["other", "outer", "step", "whole"]
    account.forget()
    server.orders.clear()
    server.gate.clear()
    again = asyncio.ensure_future(use(account, "outer"))
    await ordered(server, "+other")
    assert sorted(server.orders) == ["+other", "+outer", "+step", "+whole"]
    server.gate.set()
    await again


async def test_models_that_name_each_other_as_steps_are_loaded() -> None:
    server = Server(a="b", b="a")
    assert await use(loaded_models(server), "a") == "a"
    assert server.loaded == {"a", "b"}


async def test_a_step_that_is_missing_is_named() -> None:
    with pytest.raises(ApiError, match="does not have the model 'step', which whole needs") as raised:
        await use(loaded_models(Server(whole="step")), "whole")
    assert raised.value.status == 503


async def test_an_unknown_name_is_not_found_until_its_folder_is_there() -> None:
    server = Server()
    account = loaded_models(server)
    with pytest.raises(ApiError, match="no model 'a'") as raised:
        await use(account, "a")
    assert raised.value.status == 404
    assert not account.knows("a")
    server.names.append("a")
    assert await use(account, "a") == "a"


async def test_a_failed_load_says_why_and_rests_before_it_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server("a")
    server.broken["a"] = "no weights"
    account = loaded_models(server)
    for _ in range(3):
        with pytest.raises(ApiError, match="'a' cannot be loaded: no weights") as raised:
            await use(account, "a")
        assert (raised.value.status, raised.value.retry_after) == (503, 1)
    assert server.orders == ["+a"]
    del server.broken["a"]
    monkeypatch.setattr(account, "_now", lambda: asyncio.get_running_loop().time() + 1.5)
    assert await use(account, "a") == "a"


async def test_a_known_model_that_triton_does_not_list_any_more_is_loaded_once_its_folder_is_complete(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Server("a")
    server.broken["a"] = "at least one version must be available"
    account = loaded_models(server)
    with pytest.raises(ApiError, match="at least one version"):
        await use(account, "a")
    server.names.remove("a")  # as Triton does, until it loads the model
    later = asyncio.get_running_loop().time() + 2
    monkeypatch.setattr(account, "_now", lambda: later)
    with pytest.raises(ApiError, match="at least one version"):
        await account.ready("a")
    del server.broken["a"]
    later += 2
    assert await account.ready("a")
    assert await use(account, "a") == "a"


async def test_a_model_whose_folder_was_removed_is_unknown_until_it_is_back() -> None:
    server = Server("a")
    account = loaded_models(server)
    await use(account, "a")
    await account.unload("a", control_request("a"))
    server.names.remove("a")
    server.removed.add("a")
    with pytest.raises(ApiError, match="no model 'a'") as raised:
        await use(account, "a")
    assert raised.value.status == 404
    server.names.append("a")
    server.removed.clear()
    assert await use(account, "a") == "a"


async def test_a_triton_that_is_away_is_no_failed_load() -> None:
    server = Server("a")
    account = loaded_models(server)
    server.away = True
    with pytest.raises(ApiError, match="away"):
        await use(account, "a")
    server.away = False
    assert await use(account, "a") == "a"


async def test_who_waits_too_long_or_as_one_too_many_is_told_to_try_again() -> None:
    server = Server("a")
    server.gate.clear()
    account = loaded_models(server, wait=0.05, waiting=1)
    first = asyncio.ensure_future(use(account, "a"))
    await ordered(server, "+a")
    with pytest.raises(ApiError, match="1 requests are waiting"):
        await use(account, "a")
    with pytest.raises(ApiError, match=r"still being loaded after 0\.05 s") as raised:
        await first
    assert (raised.value.status, raised.value.retry_after) == (503, 1)
    server.gate.set()
    assert await use(account, "a") == "a"
    assert server.orders == ["+a"]


async def test_what_is_idle_goes_and_its_steps_with_it_but_nothing_in_use_or_needed() -> None:
    server = Server("step", "alone", whole="step")
    account = loaded_models(server, idle=0.01)
    await use(account, "alone")
    async with account.use("whole"):
        await asyncio.sleep(0.02)
        await account.residency.sweep()
        assert server.loaded == {"whole", "step"}
    await asyncio.sleep(0.02)
    await account.residency.sweep()
    assert server.loaded == set()
    assert server.orders[-2:] == ["-whole", "-step"]
    assert await account.ready("whole")
    assert server.loaded == set()


async def test_a_request_that_meets_an_unload_waits_and_has_it_loaded_again() -> None:
    server = Server("a")
    account = loaded_models(server)
    await use(account, "a")
    server.gate.clear()
    unloading = asyncio.ensure_future(account.unload("a", control_request("a")))
    await ordered(server, "-a")
    asking = asyncio.ensure_future(use(account, "a"))
    await asyncio.sleep(0)
    server.gate.set()
    await unloading
    assert await asking == "a"
    assert server.orders == ["+a", "-a", "+a"]


async def test_clients_load_and_unload_through_the_same_account() -> None:
    server = Server("a", "step", whole="step")
    account = loaded_models(server)
    await account.load("whole")
    assert server.loaded == {"whole", "step"}
    with pytest.raises(ApiError, match="'step' is a step of whole") as raised:
        await account.unload("step", control_request("step"))
    assert raised.value.status == 409
    await account.unload("whole", control_request("whole"))
    assert not await account.ready("whole")
    assert await use(account, "whole") == "whole"
    assert await account.ready("whole")
    with pytest.raises(ApiError, match="failed to load 'nobody'"):
        await account.load("nobody")


async def test_a_load_with_a_config_changes_fields_of_the_folders_own_and_the_next_has_that_again() -> None:
    server = Server("a")
    account = loaded_models(server)
    await account.load("a", '{"max_batch_size": 4}')
    assert server.orders == ["+a", "+a"]
    assert b'"max_batch_size":4' in server.requests[-1]
    await account.load("a")  # by way of an unload: to Triton the folder would not have changed
    assert server.orders == ["+a", "+a", "-a", "+a"]
    assert server.requests[-1] == control_request("a")
    with pytest.raises(ApiError, match="changes 'backend'"):
        await account.load("a", '{"backend": "python"}')
    assert await use(account, "a") == "a"


async def test_a_model_that_was_never_loaded_is_loaded_to_say_whether_it_is_ready() -> None:
    server = Server("good", "bad")
    server.broken["bad"] = "no weights"
    account = loaded_models(server)
    assert await account.ready("good")
    with pytest.raises(ApiError, match="no weights"):
        await account.ready("bad")


async def test_what_triton_has_is_taken_over_and_what_it_lost_forgotten() -> None:
    server = Server("a", "b")
    server.loaded = {"a"}
    account = loaded_models(server)
    await account.synchronize()
    await use(account, "a")
    assert server.orders == []
    server.loaded.clear()
    account.forget()
    await use(account, "a")
    assert server.orders == ["+a"]


async def test_a_request_that_comes_during_a_sweep_keeps_its_model() -> None:
    server = Server("a", "b")
    account = loaded_models(server, idle=0.01)
    await use(account, "a")
    await use(account, "b")
    await asyncio.sleep(0.02)
    server.gate.clear()
    sweeping = asyncio.ensure_future(account.residency.sweep())
    await ordered(server, "-a")
    async with account.use("b"):
        server.gate.set()
        await sweeping
        assert server.loaded == {"b"}


async def test_a_request_that_comes_between_the_decision_to_unload_and_the_order_has_it_loaded_again() -> None:
    server = Server("a")
    account = loaded_models(server, idle=0.01)
    await use(account, "a")
    await asyncio.sleep(0.02)
    held = asyncio.Event()

    async def hold() -> set[str]:
        async with account.use("a"):
            await held.wait()
            return set(server.loaded)

    sweeping = asyncio.ensure_future(account.residency.sweep())
    holding = asyncio.ensure_future(hold())
    await sweeping
    await ordered(server, "-a")
    held.set()
    assert await holding == {"a"}


async def test_the_steps_of_a_request_stay_though_its_model_was_unloaded_meanwhile() -> None:
    server = Server("step", whole="step")
    account = loaded_models(server, idle=0.01)
    async with account.use("whole"):
        await account.unload("whole", control_request("whole"))
        await asyncio.sleep(0.02)
        await account.residency.sweep()
        with pytest.raises(ApiError, match="'step' is a step of whole, which is loaded or in use"):
            await account.unload("step", control_request("step"))
        assert server.loaded == {"step"}
    await asyncio.sleep(0.02)
    await account.residency.sweep()
    assert server.loaded == set()


@pytest.mark.parametrize("instance", ["a_0", "a_0_0", "a_12_3"])
async def test_a_model_whose_process_has_ended_is_not_ready_until_it_is_replaced(instance: str) -> None:
    server = Server("a", "b")
    account = loaded_models(server)
    await use(account, "a")
    await use(account, "b")
    server.gate.clear()
    account.model_failed(f"in step: Stub process '{instance}' is not healthy.")
    account.model_failed(f"Stub process '{instance}' is not healthy.")  # once for all requests that it failed
    assert (await account.ready("a"), await account.ready("b")) == (False, True)
    asking = asyncio.ensure_future(use(account, "a"))
    await ordered(server, "-a")
    server.gate.set()
    assert await asking == "a"
    assert await account.ready("a")
    assert server.orders == ["+a", "+b", "-a", "+a"]


async def test_a_model_that_cannot_be_replaced_is_tried_again_and_no_other_error_replaces_one() -> None:
    server = Server("a")
    account = loaded_models(server)
    await use(account, "a")
    for reason in ("no such input", "Stub process 'b_0' is not healthy.", "Stub process 'a' is not healthy.", ""):
        account.model_failed(reason)
    assert server.orders == ["+a"]
    server.broken["a"] = "no memory"
    account.model_failed("Stub process 'a_0' is not healthy.")
    with pytest.raises(ApiError, match="no memory"):
        await use(account, "a")
    assert not await account.ready("a")


@pytest.mark.parametrize("loaded_before", [False, True])
async def test_a_load_that_fails_since_other_content_was_published_meanwhile_is_repeated(
    tmp_path: Path, loaded_before: bool
) -> None:
    server = Server("a")
    server.repository = str(tmp_path)
    link(tmp_path / "a", "first")
    account = loaded_models(server)
    if loaded_before:
        await use(account, "a")
        link(tmp_path / "a", "second")
    server.orders.clear()
    server.gate.clear()
    server.broken = {"a": "1/model.onnx is missing"}
    loading = asyncio.ensure_future(account.reload("a") if loaded_before else use(account, "a"))
    await ordered(server, "+a")
    link(tmp_path / "a", "newest")
    server.on_failure = lambda: server.broken.clear()
    server.gate.set()
    await loading
    assert server.orders == ["+a", "+a"]
    assert account.contents() == {"a": str(tmp_path / "newest")}
    state = account.states()["a"]
    assert (state.failure, state.reload_failure) == ("", "")


async def test_content_that_changes_with_every_load_is_not_loaded_for_ever(tmp_path: Path) -> None:
    server = Server("a")
    server.repository = str(tmp_path)
    server.broken = {"a": "1/model.onnx is missing"}
    numbers = count()

    def switch() -> None:
        link(tmp_path / "a", f"content-{next(numbers)}")

    switch()
    server.on_failure = switch
    with pytest.raises(ApiError, match="is missing"):
        await use(loaded_models(server), "a")
    assert server.orders == ["+a"] * SWITCHES


def link(path: Path, content: str) -> None:
    """Publishes a content under the name of ``path``."""
    (path.parent / content).mkdir()
    path.unlink(missing_ok=True)
    path.symlink_to(path.parent / content)
