import io
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from rich.console import Console

from switchyard.catalog import CatalogFile, Model, State
from switchyard.local.processes.identities import Identity
from switchyard.local.status.board import ProcessStatus, StatusBoard
from switchyard.local.status.run_directory import Run
from switchyard.local.status.terminal import PlainView, next_steps, steps, table
from switchyard.telemetry.metrics.local import LocalMetrics


def test_a_start_in_progress_shows_the_phase_that_runs_with_its_seconds() -> None:
    entry = ProcessStatus(state="waking", since=100.0, phases={"spawn": 0.5, "import": 2.0})
    assert steps(entry, 104.0) == "spawn 0.5 s, import 2.0 s, load 1.5 s …"


def test_a_start_that_waits_for_the_preloaded_parent_says_so() -> None:
    assert steps(ProcessStatus(state="waking", since=100.0), 101.0) == "spawn 1.0 s …"
    waits = ProcessStatus(state="waking", since=100.0, reason="its start waits")
    assert steps(waits, 103.0) == "preload 3.0 s …"
    assert steps(replace(waits, reason="", phases={"preload": 4.0}), 104.5) == "preload 4.0 s, spawn 0.5 s …"


def test_a_start_whose_phases_are_done_waits_for_readiness() -> None:
    assert steps(ProcessStatus(state="waking", since=0.0, phases={"ready": 1.0}), 3.0) == "ready 1.0 s, ready 2.0 s …"


def test_a_finished_start_shows_its_phases() -> None:
    assert steps(ProcessStatus(state="ready", phases={"spawn": 0.0, "load": 3.25}), 9.0) == "spawn 0.0 s, load 3.2 s"


def test_plain_output_is_one_line_per_change() -> None:
    lines: list[str] = []
    view = PlainView(lines.append)
    view.changed("chat", ProcessStatus(state="waking"))
    view.changed("chat", ProcessStatus(state="waking", pid=7))
    view.phase("chat", "load", 1.0)
    view.changed("chat", ProcessStatus(state="failed", reason="exited with code 1"))
    assert lines == ["chat: waking", "chat: load 1.00 s", "chat: failed: exited with code 1"]


def test_what_a_model_says_cannot_command_the_terminal() -> None:
    lines: list[str] = []
    PlainView(lines.append).changed("chat", ProcessStatus(state="failed", reason="exited: \x1b[2J\u202eno\nready"))
    PlainView(lines.append).say("it failed:\n\x1b[2J")
    assert lines == [r"chat: failed: exited: \x1b[2J\u202eno ready", "it failed:\n\\x1b[2J"]


def test_what_to_try_next_names_the_first_model_of_each_kind() -> None:
    run = Run(
        supervisor=Identity(1, 1),
        overlay="o",
        rendered="",
        run_id="m",
        gateway="http://127.0.0.1:8000",
        gateway_name="gateway",
        control="",
    )
    broken = Model(name="0", kind="llm", url="", state=State(phase="failed"))
    models = [Model(name=name, kind=kind, url="") for name, kind in (("a", "llm"), ("b", "llm"), ("e", "embedding"))]  # type: ignore[arg-type]
    models.insert(0, broken)
    models.insert(0, replace(broken, name="00", state=State(phase="pending")))
    text = next_steps(run, models, {"preload": "ready"})
    assert '"model": "a"' in text
    assert '"model": "e"' in text
    assert "switchyard model add PATH" in text
    assert text.endswith("switchyard down")
    assert "waits until imports" not in text
    assert "SWITCHYARD_KEY" not in text
    checked = replace(broken, name="first", url="http://127.0.0.1:1", state=State(phase="pending"))
    assert '"model": "first"' in next_steps(run, [checked, *models], {})
    on_gpu = next_steps(replace(run, device="models run on GPU 0, NVIDIA H200"), models, {})
    assert "\nModels run on GPU 0, NVIDIA H200.\n" in on_gpu
    with_keys = next_steps(replace(run, asks_for_keys=True), models, {})
    assert with_keys.count('curl -H "authorization: Bearer $SWITCHYARD_KEY" ') == with_keys.count("curl") == 3
    assert "The first request waits until imports" in next_steps(run, models, {"preload": "waking"})


@pytest.mark.parametrize("width", [30, 40, 80])
async def test_the_live_table_cuts_no_name_on_a_narrow_terminal(tmp_path: Path, width: int) -> None:
    names = ["chat-fast", "chat-fast-canary"]
    file, metrics = CatalogFile(tmp_path / "catalog.json"), LocalMetrics(CollectorRegistry())
    board = StatusBoard(served={}, names=names, file=file, metrics=metrics, root=tmp_path)
    reason = "the weights in /srv/model-repository/llm/chat-fast-canary are not those of config.json"
    board.set("chat-fast-canary", "failed", reason)
    console = Console(width=width, file=io.StringIO())
    console.print(table(board, 0.0))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert [line.split()[:2] for line in lines if not line.startswith(" ")][1:] == [
        ["chat-fast", "asleep"],
        ["chat-fast-canary", "failed"],
    ]
    assert "".join("".join(line[27:].split()) for line in lines).endswith(reason.replace(" ", ""))
