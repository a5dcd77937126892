"""What served last serves again after a restart, whatever was published over it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from switchyard.repository.served import ServedFile
from tests.switchyard.local.conftest import until
from tests.switchyard.local.overlays import Stub
from tests.switchyard.local.supervisor.published import FACTS, Repository, echo, fault, serving
from tests.switchyard.local.supervisor.running import running

DECLARED = (Stub(name="chat", storage="pvc://model-repository/llm/chat"),)


@asynccontextmanager
async def followed(root: Path, *stubs: Stub) -> AsyncIterator[Repository]:
    """A run of its own, which knows of those before only what they left on the disk."""
    async with running(root) as run:
        repository = Repository(run, root)
        await repository.follow(*stubs)
        try:
            yield repository
        finally:
            await repository.stop()


async def listed(repository: Repository) -> None:
    await until(lambda: "chat" in repository.run.models(), "it is listed")


@pytest.mark.parametrize("declared", [(), DECLARED], ids=["derived", "declared"])
async def test_content_that_failed_leaves_the_one_before_it_in_its_place_also_after_a_restart(
    declared: tuple[Stub, ...], tmp_path: Path, client: httpx.AsyncClient
) -> None:
    async with followed(tmp_path, *declared) as repository:
        repository.publish("chat", "one")
        await listed(repository)
        await echo(client, repository, "chat")
        fault(repository, "chat", "two")
        repository.publish("chat", "two", facts=replace(FACTS, context_length=32))
        await until(lambda: "no weights" in repository.run.models()["chat"].notice, "it is told")

    async with followed(tmp_path, *declared) as repository:
        await listed(repository)
        await until(lambda: "no weights" in repository.run.models()["chat"].notice, "before somebody asks")
        answer = await echo(client, repository, "chat")

        assert serving(repository, "chat", answer) == "one"
        assert repository.run.board.report()["chat"]["starts"] == 1  # what failed is not tried before
        assert declared or "--max-model-len=64" in answer["argv"]  # by the flags that were planned for it


async def test_content_that_was_published_meanwhile_and_fails_gives_way_to_what_served(
    tmp_path: Path, client: httpx.AsyncClient
) -> None:
    async with followed(tmp_path) as repository:
        repository.publish("chat", "one")
        await listed(repository)
        await echo(client, repository, "chat")
    fault(repository, "chat", "two")
    repository.publish("chat", "two")

    async with followed(tmp_path) as repository:
        await listed(repository)
        assert serving(repository, "chat", await echo(client, repository, "chat")) == "one"
        assert "no weights" in repository.run.models()["chat"].notice


async def test_a_load_after_a_restart_tries_again_what_failed(tmp_path: Path, client: httpx.AsyncClient) -> None:
    async with followed(tmp_path) as repository:
        repository.publish("chat", "one")
        await listed(repository)
        await echo(client, repository, "chat")
        broken = fault(repository, "chat", "two")
        repository.publish("chat", "two")
        await until(lambda: "no weights" in repository.run.models()["chat"].notice, "it is told")
    broken.unlink()

    async with followed(tmp_path) as repository:
        await listed(repository)
        url = f"{repository.run.models()['chat'].url}/v2/repository/models/chat/load"
        assert (await client.post(url)).status_code == 200
        assert serving(repository, "chat", await echo(client, repository, "chat")) == "two"
    assert ServedFile(repository.published).of("chat").failed == {}


async def test_a_model_that_was_removed_is_forgotten(tmp_path: Path, client: httpx.AsyncClient) -> None:
    async with followed(tmp_path) as repository:
        repository.publish("chat", "one")
        await listed(repository)
        await echo(client, repository, "chat")
        file = ServedFile(repository.published)
        assert file.of("chat").folder == repository.published / ".objects/llm/chat/one"
        repository.remove("chat")
        await until(lambda: file.of("chat").folder is None, "it is forgotten")
