"""The catalog follows what the repository says of the models that one service hosts."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from switchyard.catalog import CatalogFile, Model, State
from switchyard.local.replicas import repository
from switchyard.local.replicas.repository import JudgedModels, RepositoryHost
from switchyard.local.status.board import StatusBoard
from switchyard.repository.status import ModelStatus, RepositoryStatus, StatusFile
from switchyard.repository.verdict import Facts, FaultCode, Memory
from switchyard.telemetry.metrics.local import LocalMetrics

SECONDS = 10.0
FACTS = Facts(format="onnx", kind="vision", bytes=3, memory=Memory(weights=3), versions=("1", "2"))
CHAT = Facts(format="huggingface", kind="llm", bytes=3, memory=Memory(weights=3), context_length=64)
GOOD = ModelStatus(group="vision", name="digits", phase="published", facts=FACTS, digest="a")


class Repository:
    """A run with the service ``vision``, and a repository that this test writes."""

    def __init__(self, root: Path) -> None:
        self.published, self.incoming = root / "published", root / "vision"
        self.published.mkdir()
        self._status = StatusFile(self.published)
        self._catalog = CatalogFile(root / "catalog.json")
        metrics = LocalMetrics(CollectorRegistry())
        self.board = StatusBoard(
            served={"vision": []}, names=["vision"], file=self._catalog, metrics=metrics, root=root
        )
        host = RepositoryHost(model=Model(name="vision", kind="vision", url="http://here"), folder=self.incoming)
        self.models = JudgedModels(host, self.published, board=self.board)

    def drop(self, name: str) -> None:
        (self.incoming / name / "1").mkdir(parents=True)

    def say(self, *models: ModelStatus) -> None:
        self._status.replace(RepositoryStatus(models))

    def listed(self) -> dict[str, State]:
        return {name: model.state for name, model in self._catalog.current().models.items()}

    def model(self, name: str) -> Model:
        return self._catalog.current().models[name]

    @property
    def waits(self) -> str:
        """Why the service waits with its start."""
        folder = self.board.folder("vision")
        return folder.sentence if folder else ""


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Repository]:
    made = Repository(tmp_path)
    made.drop("digits")
    following = asyncio.create_task(made.models.run())
    yield made
    following.cancel()
    await asyncio.wait({following})


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.01)


async def test_before_the_first_verdict_models_are_listed_as_their_folders_are_and_the_service_waits(
    run: Repository,
) -> None:
    await until(lambda: run.waits)
    assert run.listed()["digits"].phase == "asleep"  # a request for it waits with the service
    assert run.waits == "the model repository is being checked: digits"
    run.say(replace(GOOD, phase="checking", facts=None, digest=""))
    await asyncio.sleep(2 * repository.STATUS_SECONDS)
    assert (run.listed()["digits"].phase, bool(run.waits)) == ("asleep", True)
    run.say(GOOD)
    await until(lambda: not run.waits)
    assert run.model("digits").versions == ("1", "2")


async def test_a_first_verdict_that_takes_too_long_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "FIRST_SECONDS", 0.0)
    made = Repository(tmp_path)
    made.drop("digits")
    following = asyncio.create_task(made.models.run())
    made.say(replace(GOOD, phase="copying", facts=None))
    await until(lambda: made.listed().get("digits") and made.listed()["digits"].phase == "pending")
    assert not made.waits
    following.cancel()


async def test_models_come_and_go_with_what_is_said_of_them(run: Repository) -> None:
    run.say(GOOD)
    await until(lambda: not run.waits)
    arriving = ModelStatus(group="vision", name="new", phase="checking")
    run.say(GOOD, arriving, ModelStatus(group="llm", name="chat", phase="checking"))
    await until(lambda: "new" in run.listed())
    assert run.listed()["new"] == State(phase="pending", reason="its folder is being checked")
    assert "chat" not in run.listed()
    run.say(GOOD, replace(arriving, phase="failed", reason="1/model.onnx is not an ONNX file."))
    await until(lambda: run.listed()["new"].phase == "failed")
    assert run.listed()["new"] == State(phase="failed", reason="1/model.onnx is not an ONNX file.", retryable=False)
    run.say(GOOD, replace(arriving, phase="failed", reason="/usr/lib/models/new cannot be read."))
    await until(lambda: run.listed()["new"].reason == "new cannot be read.")  # clients see no paths of this machine
    run.say(arriving)
    await until(lambda: "digits" not in run.listed())
    assert list(run.listed()) == ["new"]


async def test_new_content_that_failed_leaves_the_model_as_ready_as_its_service_with_the_reason(
    run: Repository,
) -> None:
    run.say(replace(GOOD, phase="failed", reason="1/model.onnx is not an ONNX file."))
    await until(lambda: run.model("digits").notice)
    run.board.set("vision", "ready")
    assert run.model("digits").state == State(phase="ready")
    assert "1/model.onnx is not an ONNX file." in run.model("digits").notice


async def test_a_status_that_cannot_be_read_changes_nothing(run: Repository) -> None:
    run.say(GOOD)
    await until(lambda: not run.waits)
    (run.published / "status.json").write_text("{")
    await asyncio.sleep(2 * repository.STATUS_SECONDS)
    assert list(run.listed()) == ["digits"]
    run.say(GOOD, replace(GOOD, name="more"))
    await until(lambda: "more" in run.listed())


async def test_a_second_folder_with_a_taken_name_fails_alone_and_its_owner_serves_on(run: Repository) -> None:
    run.board.add("chat", [Model(name="chat", kind="llm", url="http://there")])
    run.board.follow("chat", ModelStatus(group="llm", name="chat", phase="published", facts=CHAT, digest="b"))
    run.board.set("chat", "ready")
    before = run.model("chat")
    second = ModelStatus(group="vision", name="chat", phase="checking")
    run.say(GOOD, second)
    await until(lambda: "vision/chat" in run.listed())
    assert run.model("chat") == before
    run.say(GOOD, replace(second, phase="failed", code=FaultCode.NAME, reason="The name 'chat' is taken by llm/chat."))
    await until(lambda: run.listed()["vision/chat"].reason == "The name 'chat' is taken by llm/chat.")
    assert run.model("chat") == before
    assert before.state == State(phase="ready")
    run.say(GOOD)
    await until(lambda: "vision/chat" not in run.listed())
    assert run.model("chat") == before


async def test_an_ensemble_has_failed_while_a_model_that_it_calls_is_away(run: Repository) -> None:
    ensemble = replace(GOOD, name="pair", facts=replace(FACTS, steps=("digits",)))
    run.say(GOOD, ensemble)
    await until(lambda: "pair" in run.listed())
    run.board.set("vision", "ready")
    assert run.listed()["pair"] == State(phase="ready")
    run.say(replace(ensemble, phase="failed", code=FaultCode.ENSEMBLE, reason="It calls digits, which is none."))
    await until(lambda: run.listed()["pair"].phase == "failed")
    assert "the model digits that it calls is away" in run.listed()["pair"].reason
    run.say(GOOD, ensemble)
    await until(lambda: run.listed()["pair"] == State(phase="ready"))
