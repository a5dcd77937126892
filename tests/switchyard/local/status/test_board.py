from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from switchyard.catalog import CatalogFile, Model
from switchyard.local.status.board import StatusBoard
from switchyard.repository.names import taken
from switchyard.telemetry.metrics.local import LocalMetrics


async def test_a_repository_takes_no_services_name_and_the_clash_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chat = Model(name="chat", kind="llm", url="http://127.0.0.1:1")
    hosted = [Model(name=name, kind="vision", url="http://127.0.0.1:2") for name in ("chat", "ocr")]
    file = CatalogFile(tmp_path / "catalog.json")
    metrics = LocalMetrics(CollectorRegistry())
    board = StatusBoard(
        served={"a": hosted, "chat": [chat]}, names=("a", "chat"), file=file, metrics=metrics, root=tmp_path
    )
    board.set("a", "ready")
    board.set("chat", "waking")

    assert {name: row["serves"] for name, row in board.report().items()} == {"a": ["chat", "ocr"], "chat": ["chat"]}
    found = file.current().models
    assert {name: (model.kind, model.state.phase) for name, model in found.items()} == {
        "a/chat": ("vision", "failed"),
        "ocr": ("vision", "ready"),
        "chat": ("llm", "waking"),
    }
    assert found["a/chat"].state.reason == taken("chat", "InferenceService chat")
    assert not found["a/chat"].state.retryable
    assert [record.message for record in caplog.records] == ["a model is not served by its name"]


async def test_what_a_waking_model_waits_for_is_in_the_catalog_until_it_is_launched(tmp_path: Path) -> None:
    chat = Model(name="chat", kind="llm", url="http://127.0.0.1:1")
    file = CatalogFile(tmp_path / "catalog.json")
    metrics = LocalMetrics(CollectorRegistry())
    board = StatusBoard(served={"chat": [chat]}, names=("chat",), file=file, metrics=metrics, root=tmp_path)
    board.starting("chat", "request")
    since = board.entries["chat"].since
    board.set("chat", "waking", "its start waits")
    told = file.current().models["chat"].state
    assert (told.phase, told.reason) == ("waking", "its start waits")
    board.launched("chat", 7)
    told = file.current().models["chat"].state
    assert (told.phase, told.reason) == ("waking", "")
    entry = board.entries["chat"]
    assert (entry.state, entry.since, entry.pid, entry.starts) == ("waking", since, 7, 1)


async def test_a_replica_exists_from_its_launch_until_it_sleeps(tmp_path: Path) -> None:
    models = [Model(name="chat", kind="llm", url="http://127.0.0.1:1"), Model(name="auto", kind="graph", url="")]
    file = CatalogFile(tmp_path / "catalog.json")
    board = StatusBoard(
        served={model.name: [model] for model in models},
        names=("chat", "auto"),
        file=file,
        metrics=LocalMetrics(CollectorRegistry()),
        root=tmp_path,
    )

    def replicas() -> int | None:
        return file.current().models["chat"].replicas

    board.starting("chat", "request")
    assert replicas() == 0
    board.launched("chat", 7)
    assert replicas() == 1
    for state, count in (("ready", 1), ("draining", 1), ("asleep", 0)):
        board.set("chat", state)  # type: ignore[arg-type]
        assert replicas() == count
    board.launched("auto", 8)
    assert file.current().models["auto"].replicas is None


@pytest.mark.parametrize(("code", "reason"), [(1, "crash"), (0, "crash"), (-11, "crash"), (-9, "killed")])
async def test_the_end_of_a_process_is_counted_by_its_cause(tmp_path: Path, code: int, reason: str) -> None:
    registry = CollectorRegistry()
    board = empty_board(tmp_path, registry)
    board.exited("chat", code)

    assert registry.get_sample_value("local_replica_exits_total", {"model": "chat", "reason": reason}) == 1
    assert registry.get_sample_value("local_start_failures_total", {"model": "chat"}) is None


async def test_a_start_that_ends_before_it_is_ready_is_counted_as_no_end_of_what_served(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    board = empty_board(tmp_path, registry)
    board.start_failed("chat")

    assert registry.get_sample_value("local_start_failures_total", {"model": "chat"}) == 1
    assert registry.get_sample_value("local_replica_exits_total", {"model": "chat", "reason": "crash"}) is None


def empty_board(folder: Path, registry: CollectorRegistry) -> StatusBoard:
    file = CatalogFile(folder / "catalog.json")
    return StatusBoard(served={}, names=("chat",), file=file, metrics=LocalMetrics(registry), root=folder)


async def test_the_paths_of_this_machine_stay_at_the_terminal(tmp_path: Path) -> None:
    chat = Model(name="chat", kind="llm", url="http://127.0.0.1:1")
    file = CatalogFile(tmp_path / "catalog.json")
    metrics = LocalMetrics(CollectorRegistry())
    board = StatusBoard(served={"chat": [chat]}, names=("chat",), file=file, metrics=metrics, root=tmp_path)
    board.set("chat", "failed", f"{tmp_path}/llm/chat holds no config.json")
    assert board.report()["chat"]["reason"] == f"{tmp_path}/llm/chat holds no config.json"
    assert file.current().models["chat"].state.reason == "llm/chat holds no config.json"
