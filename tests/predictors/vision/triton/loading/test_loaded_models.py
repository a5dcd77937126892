"""Who is in memory, with a Triton that is a set of names."""

import asyncio
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from predictors.vision.triton.control import Control, control_request
from predictors.vision.triton.loading.loaded_models import LoadedModels
from predictors.vision.triton.loading.operations import SWITCHES
from predictors.vision.triton.loading.residency import UNLIMITED, Limits
from predictors.vision.triton.model_folders import ModelFolders
from switchyard.http.api_errors import ApiError
from switchyard.rpc.protobuf import read_text
from switchyard.telemetry.metrics import InferenceMetrics


class Server:
    """Loads what it is told, when ``gate`` is open; ``orders`` is what it was told."""

    def __init__(self, *names: str, **steps: str) -> None:
        self.names = [*names, *steps]
        self.dependencies = steps
        self.loaded: set[str] = set()
        self.orders: list[str] = []
        self.requests: list[bytes] = []
        self.broken: dict[str, str] = {}
        self.removed: set[str] = set()
        self.repository = ""
        self.registry = CollectorRegistry()
        self.sizes: dict[str, int] = {}
        self.pinned: set[str] = set()
        self.away = False
        self.on_failure: Callable[[], None] = lambda: None
        self.gate = asyncio.Event()
        self.gate.set()

    def content(self, model: str) -> str:
        return ModelFolders(self.repository).link(model)

    def memory(self, model: str) -> int:
        return self.sizes.get(model, 1)

    async def index(self) -> dict[str, bool]:
        if self.away:
            raise ApiError("upstream_unreachable", "away")
        return {name: name in self.loaded for name in self.names}

    async def config(self, model: str) -> Mapping[str, Any]:
        parameters = {"steps": self.dependencies.get(model, ""), "pinned": str(model in self.pinned)}
        return {"name": model, "parameters": {name: {"string_value": value} for name, value in parameters.items()}}

    async def control(self, method: Control, request: bytes) -> None:
        model = read_text(request, 2)
        loads = method == "RepositoryModelLoad"
        self.requests.append(request)
        self.orders.append(("+" if loads else "-") + model)
        await self.gate.wait()
        if self.away:
            raise ApiError("upstream_unreachable", "away")
        if reason := self.broken.get(model):
            self.on_failure()
            raise ApiError("invalid_value", reason)
        if model in self.removed:
            raise ApiError("model_error", f"failed to load '{model}', failed to poll from model repository", status=500)
        (self.loaded.add if loads else self.loaded.discard)(model)


def loaded_models(
    server: Server, *, idle: float = 0, wait: float = 5, waiting: int = 8, limits: Limits = UNLIMITED
) -> LoadedModels:
    metrics = InferenceMetrics(server.registry)
    return LoadedModels(server, metrics, idle_seconds=idle, wait_seconds=wait, max_waiting=waiting, limits=limits)


async def use(account: LoadedModels, name: str) -> str:
    async with account.use(name) as config:
        return config.name


async def ordered(server: Server, order: str) -> None:
    async with asyncio.timeout(5):
        while order not in server.orders:
            await asyncio.sleep(0)


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
