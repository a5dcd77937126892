"""Models that are published while a run lasts get a service, and lose it; what is not served says why."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from switchyard.catalog import Catalog, Model, State
from switchyard.local.plan.render import documents as rendered
from switchyard.local.plan.render import render_text
from switchyard.local.processes import identities
from switchyard.local.supervisor.published_models import PublishedModels, ServicePlanner
from switchyard.repository.status import ModelStatus
from switchyard.repository.verdict import FaultCode
from tests.switchyard.local.conftest import until
from tests.switchyard.local.overlays import Stub, runtime
from tests.switchyard.local.supervisor.published import FACTS, Repository, echo, fault, serving
from tests.switchyard.local.supervisor.running import SETTINGS, running

ROOT = Path(__file__).parents[4]
SENTENCE = "config.json is not JSON: export the model again."


@pytest.fixture
async def repository(tmp_path: Path) -> AsyncIterator[Repository]:
    async with running(tmp_path) as run:
        made = Repository(run, tmp_path)
        yield made
        await made.stop()


async def test_a_model_that_is_published_is_listed_with_its_card_and_answers_by_its_own_flags(
    repository: Repository, client: httpx.AsyncClient
) -> None:
    await repository.follow(Stub(name="chat"))
    repository.publish("dropped")
    await until(lambda: "dropped" in repository.run.models(), "it is listed")

    model = repository.run.models()["dropped"]
    assert (model.kind, model.context_length) == ("llm", 64)
    assert model.card is not None
    assert model.card.license == "apache-2.0"
    argv = (await echo(client, repository, "dropped"))["argv"]
    assert "--max-model-len=64" in argv
    assert "--model_name=dropped" in argv
    assert "dropped.apart.svc" in repository.run.hosts


async def test_a_folder_that_is_removed_takes_its_service_with_it_and_no_other(
    repository: Repository, client: httpx.AsyncClient
) -> None:
    await repository.follow()
    repository.publish("first")
    repository.publish("second")
    await until(lambda: len(repository.run.models()) == 2, "both are listed")
    pid = (await echo(client, repository, "second"))["pid"]

    repository.remove("first")
    await until(lambda: repository.run.models().keys() == {"second"}, "it is gone")

    assert (await echo(client, repository, "second"))["pid"] == pid
    await until(lambda: repository.run.board.entries.keys() == {"second"}, "its process has ended")


async def test_a_folder_that_cannot_be_served_is_listed_with_its_sentence_until_it_is_mended(
    repository: Repository, client: httpx.AsyncClient
) -> None:
    await repository.follow()
    broken = ModelStatus(group="llm", name="dropped", phase="copying")
    repository.say(broken)
    await until(lambda: "dropped" in repository.run.models(), "it is listed while it is copied")
    assert repository.run.models()["dropped"].state == State(phase="pending", reason="its folder is still being copied")
    repository.say(replace(broken, phase="failed", reason=SENTENCE, code=FaultCode.MODEL_CONFIG))
    await until(lambda: repository.run.models()["dropped"].state.phase == "failed", "it has failed")
    assert repository.run.models()["dropped"].state.reason == SENTENCE
    assert repository.run.board.report()["llm/dropped"]["reason"] == SENTENCE

    repository.publish("dropped")
    await until(lambda: repository.run.models()["dropped"].url != "", "it is served")
    await echo(client, repository, "dropped")
    assert repository.run.board.entries.keys() == {"dropped"}


async def test_a_folder_that_is_new_is_never_listed_as_if_it_were_served(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = list[str]()
    write = repository.run.catalog.replace

    def replaced(catalog: Catalog) -> None:
        listed.extend(model.state.phase for model in catalog.models.values())
        write(catalog)

    monkeypatch.setattr(repository.run.catalog, "replace", replaced)
    await repository.follow()
    repository.say(ModelStatus(group="llm", name="dropped", phase="copying"))
    await until(lambda: "dropped" in repository.run.models(), "it is listed")

    assert {*listed} == {"pending"}


async def test_a_broken_edit_says_so_while_the_content_before_it_is_served(
    repository: Repository, client: httpx.AsyncClient
) -> None:
    await repository.follow()
    repository.publish("dropped")
    await until(lambda: "dropped" in repository.run.models(), "it is listed")
    pid = (await echo(client, repository, "dropped"))["pid"]

    repository.publish("dropped", phase="failed", reason=SENTENCE)
    await until(lambda: SENTENCE in repository.run.models()["dropped"].notice, "it is said")

    assert repository.run.models()["dropped"].state.phase == "ready"
    assert (await echo(client, repository, "dropped"))["pid"] == pid


async def test_a_declared_service_waits_for_its_folder_to_be_checked_and_keeps_its_own_settings(
    repository: Repository, client: httpx.AsyncClient
) -> None:
    await repository.follow(Stub(name="chat", storage="pvc://model-repository/llm/chat"))
    await until(lambda: repository.run.models().get("chat") is not None, "it is listed")
    await until(lambda: repository.run.models()["chat"].state.phase == "pending", "its folder was not seen yet")
    assert repository.run.models()["chat"].state.retryable
    asked = asyncio.ensure_future(echo(client, repository, "chat"))
    await until(lambda: repository.run.board.report()["chat"]["state"] == "waking", "the request waits")

    repository.publish("chat")

    assert f"--model_dir={repository.published / '.objects/llm/chat/one'}" in (await asked)["argv"]
    assert repository.run.board.entries.keys() == {"chat"}


async def test_a_declared_service_whose_folder_is_broken_says_what_is_wrong_with_it(
    repository: Repository, client: httpx.AsyncClient
) -> None:
    await repository.follow(Stub(name="chat", storage="pvc://model-repository/llm/chat"))
    repository.say(ModelStatus(group="llm", name="chat", phase="failed", reason=SENTENCE))
    await until(lambda: "chat" in repository.run.models(), "it is listed")
    await until(lambda: repository.run.models()["chat"].state.phase == "failed", "it has failed")

    response = await client.post(repository.run.models()["chat"].url + "/echo", json={})

    assert response.status_code == 503
    assert SENTENCE in response.json()["error"]["message"]


async def test_a_folder_with_the_name_of_something_else_leaves_that_alone(
    repository: Repository, tmp_path: Path
) -> None:
    repository.run.board.add("gateway")
    (tmp_path / "elsewhere").mkdir()
    await repository.follow(Stub(name="chat", storage="pvc://model-repository/elsewhere"))
    repository.publish("gateway")
    repository.publish("chat")
    await until(lambda: {"llm/chat", "llm/gateway"} <= repository.run.models().keys(), "both are listed")

    assert repository.run.models()["chat"].state.phase == "asleep"
    assert "the name chat belongs to another part" in repository.run.models()["llm/chat"].state.reason
    assert repository.run.models()["llm/gateway"].state.phase == "failed"


async def test_an_overlay_without_the_runtime_says_so(repository: Repository, tmp_path: Path) -> None:
    planner = ServicePlanner([SETTINGS, runtime()], repository.options)
    follower = PublishedModels(
        repository.published,
        declared=(),
        planner=planner,
        services=repository.run.services,
        board=repository.run.board,
    )
    repository.publish("dropped")
    task = asyncio.ensure_future(follower.run())
    await until(lambda: "dropped" in repository.run.models(), "it is listed")

    assert "runtime switchyard-vllm is not in the overlay" in repository.run.models()["dropped"].state.reason
    task.cancel()


@pytest.mark.parametrize("overlay", ["local", "local-gpu"])
def test_the_overlays_of_this_machine_have_what_a_dropped_model_needs(overlay: str, repository: Repository) -> None:
    folder = ROOT / "kustomize" / "overlays" / overlay

    service = ServicePlanner(rendered(render_text(folder), folder), repository.options)("my-chat", FACTS)

    assert service.model_dir == repository.published / "llm" / "my-chat"
    assert "--model_name=my-chat" in service.command.argv


async def test_a_status_that_cannot_be_read_changes_nothing(repository: Repository) -> None:
    await repository.follow()
    repository.publish("dropped")
    await until(lambda: "dropped" in repository.run.models(), "it is listed")
    (repository.published / "status.json").write_text("{")
    repository.publish("other")
    await until(lambda: "other" in repository.run.models(), "the next one is read")

    assert "dropped" in repository.run.models()


async def test_a_model_that_is_dropped_in_is_started_once_so_that_a_broken_one_is_told_at_once(
    repository: Repository,
) -> None:
    fault(repository, "broken", "one")
    await repository.follow()
    repository.publish("good")
    repository.publish("broken")

    await until(lambda: "good" in repository.run.models(), "it is listed")
    await until(lambda: repository.run.models()["good"].state.phase == "ready", "nobody asked for it")
    await until(lambda: repository.run.models()["broken"].state.phase == "failed", "nor for this")
    assert "no weights in model.safetensors" in repository.run.models()["broken"].state.reason


async def test_what_was_published_before_the_run_sleeps_until_asked(repository: Repository) -> None:
    repository.publish("before")
    await repository.follow()
    await until(lambda: "before" in repository.run.models(), "it is listed")
    repository.publish("after")
    await until(lambda: repository.run.board.entries.get("after") is not None, "the next one is listed")
    await until(lambda: repository.run.board.entries["after"].state == "ready", "that one is started")

    assert repository.run.board.entries["before"].starts == 0


async def test_new_content_takes_over_under_load_without_a_failed_request(
    repository: Repository, client: httpx.AsyncClient
) -> None:
    stub = Stub(name="chat", storage="pvc://model-repository/llm/chat", env={"STUB_STOP_SECONDS": "2"})
    repository.publish("chat", "one")
    await repository.follow(stub)
    await until(lambda: "chat" in repository.run.models(), "it is listed")
    seen: list[str] = []

    async def ask() -> None:
        while seen[-1:] != ["two"]:
            response = await client.post(repository.run.models()["chat"].url + "/echo", json={"wait": 0.02})
            assert response.status_code == 200
            seen.append(serving(repository, "chat", response.json()))

    asking = [asyncio.ensure_future(ask()) for _ in range(8)]
    await until(lambda: len(seen) > 8, "the first content is served")
    repository.publish("chat", "two")
    await asyncio.wait_for(asyncio.gather(*asking), timeout=20)

    assert {*seen} == {"one", "two"}
    assert repository.run.models()["chat"].state.phase == "ready"
    assert repository.run.board.report()["chat"]["starts"] == 2


async def test_new_content_that_cannot_be_loaded_is_told_while_the_one_before_it_serves_on(
    repository: Repository, client: httpx.AsyncClient
) -> None:
    repository.publish("chat", "one")
    await repository.follow(Stub(name="chat", storage="pvc://model-repository/llm/chat"))
    await until(lambda: "chat" in repository.run.models(), "it is listed")
    before = await echo(client, repository, "chat")
    broken = fault(repository, "chat", "two")

    repository.publish("chat", "two")
    await until(lambda: "no weights" in repository.run.models()["chat"].notice, "it is told")

    assert repository.run.models()["chat"].state == State(phase="ready")
    assert (await echo(client, repository, "chat"))["pid"] == before["pid"]
    rejected = repository.run.board.report()["chat"]
    again = fault(repository, "chat", "two-again")
    repository.publish("chat", "two-again")
    # Its sentence is the same: only the count says that it was tried, too.
    await until(lambda: repository.run.board.report()["chat"]["contents"] == 2, "the next is rejected as well")
    assert (rejected["contents"], repository.run.board.report()["chat"]["reason"]) == (1, rejected["reason"])
    broken.unlink()
    again.unlink()
    repository.publish("chat", "three")
    await until(lambda: repository.run.models()["chat"].notice == "", "the next one is served")
    assert serving(repository, "chat", await echo(client, repository, "chat")) == "three"


async def test_a_model_that_sleeps_tries_its_new_content_and_wakes_with_the_last_that_worked(
    repository: Repository, client: httpx.AsyncClient
) -> None:
    repository.publish("chat", "one")
    await repository.follow(Stub(name="chat", storage="pvc://model-repository/llm/chat", window="50ms"))
    await until(lambda: "chat" in repository.run.models(), "it is listed")
    await echo(client, repository, "chat")
    await until(lambda: repository.run.models()["chat"].state.phase == "asleep", "it sleeps")
    fault(repository, "chat", "two")
    repository.publish("chat", "two")
    await until(lambda: "no weights" in repository.run.models()["chat"].notice, "nobody had to ask")

    assert serving(repository, "chat", await echo(client, repository, "chat")) == "one"
    assert "no weights" in repository.run.models()["chat"].notice


async def test_an_unload_ends_the_start_of_new_content_beside_what_serves(
    repository: Repository, client: httpx.AsyncClient
) -> None:
    repository.publish("chat", "one")
    await repository.follow(Stub(name="chat", storage="pvc://model-repository/llm/chat", deadline="600s"))
    await until(lambda: "chat" in repository.run.models(), "it is listed")
    await echo(client, repository, "chat")
    hangs = fault(repository, "chat", "two")
    hangs.write_text('{"hang": true}')
    repository.publish("chat", "two")
    await until(lambda: len(repository.run.room._leases) == 2, "the next process is starting")

    url = f"{repository.run.models()['chat'].url}/v2/repository/models/chat"
    assert (await client.post(f"{url}/unload")).status_code == 200

    await until(lambda: identities.of_run(repository.run.run_id) == [], "no process is left")
    await until(lambda: repository.run.models()["chat"].state.phase == "asleep", "it sleeps")
    hangs.unlink()
    assert serving(repository, "chat", await echo(client, repository, "chat")) == "two"


async def test_flags_that_follow_from_the_content_change_with_it(
    repository: Repository, client: httpx.AsyncClient
) -> None:
    await repository.follow()
    repository.publish("dropped", "one")
    await until(lambda: "dropped" in repository.run.models(), "it is listed")
    await echo(client, repository, "dropped")
    repository.publish("dropped", "two", facts=replace(FACTS, context_length=32))
    await until(lambda: repository.run.board.entries["dropped"].starts == 2, "its next process serves")

    assert "--max-model-len=32" in (await echo(client, repository, "dropped"))["argv"]
    assert repository.run.models()["dropped"].context_length == 32


async def test_a_language_model_that_becomes_an_embedding_model_is_served_as_one(repository: Repository) -> None:
    await repository.follow()
    repository.publish("dropped", "one")
    await until(lambda: "dropped" in repository.run.models(), "it is listed")
    repository.publish("dropped", "two", facts=replace(FACTS, kind="embedding"))

    def ready() -> bool:
        model = repository.run.models().get("dropped")
        return model is not None and (model.kind, model.state.phase) == ("embedding", "ready")

    await until(ready, "its new service is tried out")


async def test_a_declared_service_without_a_folder_says_where_to_put_the_model_and_takes_it_up(
    repository: Repository, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    await repository.follow(Stub(name="chat", storage="pvc://model-repository/llm/chat"))
    repository.publish("other")
    told = f"its model folder {tmp_path / 'llm/chat'} does not exist; put the model there"
    await until(lambda: repository.run.board.report()["chat"]["reason"] == told, "it is told before somebody asks")
    assert repository.run.models()["chat"].state.phase == "failed"

    repository.publish("chat")
    await until(lambda: repository.run.models()["chat"].state.phase == "asleep", "it can be asked")
    assert serving(repository, "chat", await echo(client, repository, "chat")) == "one"


async def test_a_language_model_with_a_vision_models_name_leaves_that_one_alone(repository: Repository) -> None:
    board = repository.run.board
    board.add("vision", [Model(name="digits", kind="vision", url="http://there")])
    served = ModelStatus(group="vision", name="digits", phase="published", digest="one", facts=FACTS)
    board.follow_all("vision", {"digits": served})
    before = repository.run.models()["digits"]
    await repository.follow()

    second = ModelStatus(group="llm", name="digits", phase="failed", code=FaultCode.NAME, reason="It is taken.")
    repository.say(second)
    await until(lambda: "llm/digits" in repository.run.models(), "it is listed with its group")

    assert repository.run.models()["llm/digits"].state == State(phase="failed", reason="It is taken.")
    assert repository.run.models()["digits"] == before
    board.remove("vision")
