"""What is loaded follows the links of a repository, with a Triton that is a set of names."""

import asyncio
import os
from pathlib import Path

import pytest

from predictors.vision.triton.loading.loaded_models import LoadedModels
from predictors.vision.triton.loading.repository_follower import RepositoryFollower
from predictors.vision.triton.model_folders import ModelFolders
from switchyard.http.api_errors import ApiError
from tests.predictors.vision.triton.loading.server import Server, loaded_models, ordered, use


def publish(repository: Path, name: str, content: str) -> None:
    (repository.parent / ".objects" / name / content).mkdir(parents=True, exist_ok=True)
    staged = repository / f".{name}"
    staged.symlink_to(f"../.objects/{name}/{content}")
    os.replace(staged, repository / name)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "vision"
    folder.mkdir()
    for name in ("a", "b", "step", "whole"):
        publish(folder, name, "1")
    return folder


async def followed(server: Server, repository: Path) -> tuple[LoadedModels, RepositoryFollower]:
    server.repository = str(repository)
    models = loaded_models(server)
    follower = RepositoryFollower(ModelFolders(str(repository)), models)
    await follower.look()
    return models, follower


async def test_a_loaded_model_whose_link_leads_elsewhere_is_loaded_anew_and_no_other(repository: Path) -> None:
    server = Server("a", "b")
    models, follower = await followed(server, repository)
    await use(models, "a")
    await follower.look()
    publish(repository, "a", "2")
    publish(repository, "b", "2")
    await follower.look()
    await follower.look()
    assert server.orders == ["+a", "+a"]


async def test_a_new_model_that_its_first_request_has_loaded_is_not_loaded_again(repository: Path) -> None:
    server = Server("a", "new")
    models, follower = await followed(server, repository)
    publish(repository, "new", "1")
    await use(models, "new")
    await follower.look()
    assert server.orders == ["+new"]


async def test_a_model_serves_while_its_new_content_is_loaded(repository: Path) -> None:
    server = Server("a")
    models, follower = await followed(server, repository)
    await use(models, "a")
    server.gate.clear()
    server.orders.clear()
    publish(repository, "a", "2")
    looking = asyncio.ensure_future(follower.look())
    await ordered(server, "+a")
    assert await use(models, "a") == "a"
    server.gate.set()
    await looking


async def test_content_that_is_published_while_the_one_before_is_being_loaded_is_loaded_too(repository: Path) -> None:
    server = Server("a")
    models, follower = await followed(server, repository)
    server.gate.clear()
    asking = asyncio.ensure_future(use(models, "a"))
    await ordered(server, "+a")
    publish(repository, "a", "2")
    await follower.look()
    server.gate.set()
    await asking
    await follower.look()
    assert server.orders == ["+a", "+a"]


async def test_content_that_cannot_be_loaded_leaves_the_one_before_in_service_and_is_tried_once(
    repository: Path,
) -> None:
    server = Server("a")
    models, follower = await followed(server, repository)
    await use(models, "a")
    server.broken["a"] = "no weights"
    publish(repository, "a", "2")
    for _ in range(3):
        await follower.look()
    assert server.orders == ["+a", "+a"]
    assert await use(models, "a") == "a"
    assert models.states()["a"].reload_failure == "no weights"
    del server.broken["a"]
    publish(repository, "a", "3")
    await follower.look()
    assert models.states()["a"].reload_failure == ""


async def test_a_triton_that_is_away_is_asked_again(repository: Path) -> None:
    server = Server("a")
    models, follower = await followed(server, repository)
    await use(models, "a")
    server.away = True
    publish(repository, "a", "2")
    await follower.look()
    server.away = False
    await follower.look()
    await follower.look()
    assert server.orders == ["+a"] * 3


async def test_a_model_whose_link_is_gone_is_unloaded_once_nothing_that_is_loaded_needs_it(repository: Path) -> None:
    server = Server("step", whole="step")
    models, follower = await followed(server, repository)
    await use(models, "whole")
    (repository / "step").unlink()
    server.names.remove("step")
    await follower.look()
    assert server.loaded == {"whole", "step"}
    (repository / "whole").unlink()
    server.names.remove("whole")
    await follower.look()
    await follower.look()
    assert server.loaded == set()
    server.removed |= {"step", "whole"}
    with pytest.raises(ApiError, match="no model 'whole'"):
        await use(models, "whole")


async def test_a_model_that_comes_and_goes_between_two_looks_is_unloaded(repository: Path) -> None:
    server = Server("new")
    models, follower = await followed(server, repository)
    publish(repository, "new", "1")
    await use(models, "new")
    (repository / "new").unlink()
    server.names.remove("new")
    await models.synchronize()  # as after an unload by a client: the index does not have it any more
    await follower.look()
    assert server.loaded == set()
    await follower.look()
    assert server.orders == ["+new", "-new"]


async def test_what_was_loaded_before_this_process_began_is_loaded_anew(repository: Path) -> None:
    server = Server("a")
    server.loaded.add("a")
    server.repository = str(repository)
    models = loaded_models(server)
    await models.synchronize()
    await RepositoryFollower(ModelFolders(str(repository)), models).look()
    assert server.orders == ["+a"]


async def test_folders_that_are_no_links_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a" / "1").mkdir(parents=True)
    server = Server("a")
    models, follower = await followed(server, tmp_path)
    await use(models, "a")
    (tmp_path / "a" / "2").mkdir()
    await follower.look()
    (tmp_path / "a" / "2").rmdir()
    (tmp_path / "a" / "1").rmdir()
    (tmp_path / "a").rmdir()
    await follower.look()
    assert server.orders == ["+a"]


@pytest.mark.parametrize("root", ["", "nowhere"])
async def test_a_repository_that_cannot_be_read_here_changes_nothing(tmp_path: Path, root: str) -> None:
    server = Server("a")
    models = loaded_models(server)
    await use(models, "a")
    await RepositoryFollower(ModelFolders(str(tmp_path / root) if root else ""), models).look()
    assert server.orders == ["+a"]
