"""What the platform says of a model once its content is published: that its engine takes it, or why not."""

import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from switchyard.catalog import OLD_SERVED, Catalog, CatalogFile, Model, State
from switchyard.cli.models import waiting
from switchyard.cli.models.folders import Folders
from switchyard.cli.models.outcome import Outcome, outcome
from switchyard.cli.models.waiting import Before
from switchyard.local.processes import identities
from switchyard.local.status.run_directory import Run
from switchyard.repository.status import ModelStatus
from switchyard.repository.verdict import Verdict
from tests.switchyard.cli.models.conftest import FACTS, GATEWAY, Project

CHAT = replace(FACTS, kind="llm", format="huggingface")
SILLY = "exited with code 1: ValueError: Unsupported activation: silly"
Row = Mapping[str, Any]


def row(state: str, *, starts: int = 0, reason: str = "", contents: int = 0) -> Row:
    return {"state": state, "starts": starts, "reason": reason, "contents": contents}


@dataclass
class Supervisor:
    """What runs in a project: each look at its ``/status`` gets the next of ``rows``, and then the last."""

    project: Project
    url: str
    rows: list[Row] = field(default_factory=list)

    def content(self, digest: str, *rows: Row) -> None:
        """Publish the content of ``chat``, whose process then is as ``rows`` say; the catalog has the last."""
        self.rows[:] = rows
        status = ModelStatus(group="llm", name="chat", phase="published", digest=digest, facts=CHAT, since=digest)
        self.project.folder("llm/chat").mkdir(exist_ok=True)
        self.project.say(status)
        phase, reason = rows[-1]["state"], rows[-1]["reason"]
        served = phase in ("ready", "asleep")
        state = State(phase=phase, reason="" if served else reason, retryable=phase == "failed")
        model = Model(name="chat", kind="llm", url=GATEWAY, state=state, notice=reason if served else "")
        CatalogFile(self.project.state.catalog).replace(Catalog({"chat": model}))

    def added(self, before: Before, *, seconds: float = 60.0) -> tuple[Outcome, list[str]]:
        """What `add` says of the content, and for what it said that it waits."""
        verdict, waits = Verdict(group="llm", name="chat", digest="d", facts=CHAT), list[str]()
        end = outcome(Folders.here(), verdict, before=before, seconds=seconds, on_waking=waits.append)
        return end, waits


@pytest.fixture
def supervisor(project: Project) -> Iterator[Supervisor]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            rows = running.rows
            row = rows.pop(0) if len(rows) > 1 else rows[0] if rows else None
            body = json.dumps({} if row is None else {"chat": row}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    running = Supervisor(project, f"http://127.0.0.1:{server.server_port}")
    me = identities.identify(os.getpid())
    assert me is not None
    project.state.make()
    project.state.write(
        Run(supervisor=me, overlay="", rendered="", run_id="", gateway=GATEWAY, gateway_name="", control=running.url)
    )
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    yield running
    server.shutdown()
    serving.join()
    server.server_close()


def test_a_model_that_its_engine_takes_is_added_with_a_command(supervisor: Supervisor) -> None:
    before = Before.of(Folders.here())
    preload = "waits for the preload, which is importing vllm"
    supervisor.content("a", row("asleep"), row("waking", starts=1, reason=preload), row("ready", starts=1))
    end, waits = supervisor.added(before)
    assert (end.failed, "/v1/chat/completions" in end.call, waits) == (False, True, [preload])
    assert "chat: published, ready" in list(end.lines(0.1))


def test_a_model_that_its_engine_rejects_is_no_success_and_is_listed_with_the_reason(supervisor: Supervisor) -> None:
    before = Before.of(Folders.here())
    supervisor.content("a", row("waking", starts=1), row("failed", starts=1, reason=SILLY))
    end, _ = supervisor.added(before)
    assert (end.failed, end.call) == (True, "")
    assert f"chat: failed: {SILLY}" in list(end.lines(0.1))
    for arguments in (("list",), ("show", "chat")):
        said = supervisor.project.run(*arguments)
        assert ("failed" in said.out, SILLY in said.out, "published" in said.out) == (True, True, False)
    assert supervisor.project.run("show", "chat", "--json").json["serving"] == {"state": "failed", "reason": SILLY}


@pytest.mark.parametrize("was", ["ready", "asleep"])
def test_where_a_replacement_is_rejected_the_former_content_goes_on(supervisor: Supervisor, was: str) -> None:
    supervisor.content("a", row(was, starts=1))
    before = Before.of(Folders.here())
    told = f"{OLD_SERVED}: {SILLY}"
    supervisor.content("b", row(was, starts=1), row(was, starts=1 if was == "ready" else 2, reason=told))
    end, _ = supervisor.added(before)
    assert (end.failed, end.call) == (True, "")
    assert list(end.lines(0.1))[-2:] == [f"chat: published, {was}: {told}", "chat: what was there before goes on"]


def test_a_replacement_that_is_rejected_with_the_sentence_of_the_one_before_is_not_waited_for(
    supervisor: Supervisor,
) -> None:
    told = f"{OLD_SERVED}: {SILLY}"
    supervisor.content("b", row("ready", starts=1, reason=told, contents=1))
    before = Before.of(Folders.here())
    still = row("ready", starts=1, reason=told, contents=1)
    rejected = row("ready", starts=1, reason=told, contents=2)
    supervisor.content("c", still, still, rejected, row("failed", reason="the command asked on after the end"))
    end, _ = supervisor.added(before)
    assert (end.failed, end.note) == (True, "what was there before goes on")


def test_a_replacement_that_has_to_wait_for_memory_like_the_one_before_is_not_waited_for(
    supervisor: Supervisor,
) -> None:
    told = "the newest content of its folder is loaded when it next wakes: beside it, that needs 9 GB"
    supervisor.content("b", row("ready", starts=1, reason=told, contents=1))
    before = Before.of(Folders.here())
    still = row("ready", starts=1, reason=told, contents=1)
    put_off = row("ready", starts=1, reason=told, contents=2)
    supervisor.content("c", still, put_off, row("failed", reason="the command asked on after the end"))
    end, _ = supervisor.added(before)
    assert (end.failed, "the first request starts it" in end.note) == (False, True)


def test_a_replacement_that_serves_beside_the_old_one_is_a_success(supervisor: Supervisor) -> None:
    supervisor.content("a", row("ready", starts=1))
    before = Before.of(Folders.here())
    supervisor.content("b", row("ready", starts=1), row("ready", starts=1), row("ready", starts=2))
    assert supervisor.added(before)[0].failed is False


def test_a_content_that_comes_back_serves_still(supervisor: Supervisor) -> None:
    supervisor.content("b", row("ready", starts=1, reason=f"{OLD_SERVED}: {SILLY}"))
    before = Before.of(Folders.here())
    supervisor.content("a", row("ready", starts=1))
    assert supervisor.added(before)[0].failed is False


def test_a_model_without_a_start_or_with_a_long_one_says_so(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_BEGIN_SECONDS", 0.1)
    before = Before.of(Folders.here())
    supervisor.content("a", row("asleep"))
    lines = list(supervisor.added(before)[0].lines(0.1))
    assert "chat: published, not run yet" in lines
    assert "the first request starts it" in lines[-2]
    supervisor.content("b", row("waking", starts=1))
    end, _ = supervisor.added(before, seconds=0.3)
    assert (end.failed, "it is still being started" in end.note) == (False, True)


def test_a_published_model_of_which_no_gateway_knows_has_not_run_yet(project: Project, supervisor: Supervisor) -> None:
    supervisor.content("a", row("asleep"))
    assert "published, asleep" in project.run("list").out
    CatalogFile(project.state.catalog).replace(Catalog({}))
    assert "published, not run yet" in project.run("show", "chat").out


def test_what_was_published_is_not_served_where_nothing_runs(project: Project, tmp_path: Path) -> None:
    project.folder("llm/chat").mkdir()
    (project.state.path).mkdir()
    project.say(ModelStatus(group="llm", name="chat", phase="published", digest="a", facts=CHAT))
    said = project.run("list").out
    assert "published, not served" in said
    assert "nothing runs here; `switchyard up` serves it" in said
