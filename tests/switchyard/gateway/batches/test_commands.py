"""``switchyard batch`` at a running gateway."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from switchyard.cli.app import app
from tests.switchyard.gateway.batches.helpers import chats, echo, with_batches
from tests.switchyard.gateway.conftest import Bench
from tests.switchyard.gateway.tenants.access import KEYS, tenants

Run = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with with_batches(tmp_path, echo, tenants=await tenants(tmp_path)) as one:
        yield one


@pytest.fixture
def run(bench: Bench) -> Run:
    async def command(*arguments: str, key: str = KEYS["acme"]) -> tuple[int, str, str]:
        env = {"SWITCHYARD_KEY": key, "SWITCHYARD_URL": bench.url}
        done = await asyncio.to_thread(CliRunner().invoke, app, ["batch", *arguments], env=env)
        return done.exit_code, done.stdout, done.stderr

    return command


def written(path: Path, lines: list[dict[str, object]]) -> str:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


async def test_a_file_is_submitted_waited_for_and_its_results_are_fetched(run: Run, tmp_path: Path) -> None:
    file = written(tmp_path / 'a "file".jsonl', [*chats(5), *chats(1, "no-such-model", 5)])
    code, printed, said = await run("submit", file, "--wait")
    batch_id = printed.strip()
    assert (code, batch_id.startswith("batch_")) == (0, True), said
    assert "completed: 6 of 6 done, 1 failed" in said

    code, printed, _ = await run("status", batch_id)
    assert (code, printed.strip()) == (0, f"{batch_id} is completed: 6 of 6 done, 1 failed")
    code, printed, _ = await run("status")
    assert printed.splitlines()[1].split()[:6] == [batch_id, "completed", "6", "1", "6", "/v1/chat/completions"]
    assert json.loads((await run("status", batch_id, "--json"))[1])["id"] == batch_id

    code, printed, said = await run("results", batch_id)
    assert {json.loads(line)["custom_id"] for line in printed.splitlines()} == {f"line-{one}" for one in range(5)}
    assert "1 of 6 requests failed" in said
    output, errors = tmp_path / "output.jsonl", tmp_path / "errors.jsonl"
    assert (await run("results", batch_id, "--to", str(output), "--errors", str(errors)))[0] == 0
    assert output.read_text() == printed
    assert [json.loads(line)["custom_id"] for line in errors.read_text().splitlines()] == ["line-5"]


async def test_a_file_that_is_wrong_is_an_error_that_says_where(run: Run, tmp_path: Path) -> None:
    file = written(tmp_path / "a.jsonl", [*chats(1), *chats(1)])
    code, printed, _ = await run("submit", file, "--wait")
    assert code == 1
    code, printed, _ = await run("status", printed.strip())
    assert "line 2: another line has the same custom_id" in printed


async def test_what_is_not_there_or_not_allowed_is_one_sentence(run: Run, tmp_path: Path) -> None:
    code, _, said = await run("status", "batch_none")
    assert (code, "there is no batch 'batch_none'" in said) == (1, True)
    code, _, said = await run("submit", written(tmp_path / "a", chats(1)), key=KEYS["revoked"])
    assert (code, "was revoked" in said) == (1, True)
    (tmp_path / "b").write_text("nothing\n")
    code, _, said = await run("submit", str(tmp_path / "b"))
    assert (code, "--endpoint names it" in said) == (1, True)


async def test_a_batch_is_cancelled(run: Run, tmp_path: Path) -> None:
    code, printed, _ = await run("submit", written(tmp_path / "a.jsonl", chats(400)))
    batch_id = printed.strip()
    assert (await run("cancel", batch_id))[0] == 0
    code, _, said = await run("status", batch_id, "--wait")
    assert (code, "cancelled" in said) == (1, True)
