"""What the repository has, with a Triton that is a set of names and rows as Triton's own index has them."""

from pathlib import Path
from typing import Any

import pytest

from predictors.vision.triton.control import control_request
from predictors.vision.triton.model_folders import ModelFolders
from predictors.vision.triton.repository_index import RepositoryIndex, Row
from switchyard.http.api_errors import ApiError
from tests.predictors.vision.triton.loading.server import Server, loaded_models, use


class Indexed(Server):
    """Has version 3 of every model that it has loaded."""

    async def index_rows(self) -> list[dict[str, Any]]:
        return [
            {"name": name, **({"version": "3", "state": "READY"} if name in self.loaded else {})} for name in self.names
        ]

    async def version_ready(self, model: str, version: str) -> bool:
        return version == "3"


async def state_of_all(repository: str) -> tuple[RepositoryIndex, Indexed]:
    """Models that are loaded, never asked, idle, unloaded by a client, broken, and broken and left out by Triton."""
    server = Indexed("loaded", "never", "idle", "unloaded", "broken", "hidden")
    server.broken |= {"broken": "no weights", "hidden": "no version"}
    models = loaded_models(server)
    for name in ("loaded", "idle", "unloaded"):
        await use(models, name)
    server.loaded.discard("idle")
    await models.synchronize()
    await models.unload("unloaded", control_request("unloaded"))
    for name in ("broken", "hidden"):
        with pytest.raises(ApiError):
            await use(models, name)
    server.names.remove("hidden")
    return RepositoryIndex(server, models, ModelFolders(repository)), server


EXPECTED: dict[str, Row] = {
    "loaded": {"version": "3", "state": "READY"},
    "never": {},
    "idle": {},
    "unloaded": {"state": "UNAVAILABLE", "reason": "unloaded"},
    "broken": {"state": "UNAVAILABLE", "reason": "no weights"},
    "hidden": {"state": "UNAVAILABLE", "reason": "no version"},
}


async def test_the_index_tells_what_became_of_each_model() -> None:
    index, _ = await state_of_all("")
    assert {row["name"]: {**row} for row in await index.rows()} == {
        name: {"name": name, **row} for name, row in EXPECTED.items()
    }
    assert [row["name"] for row in await index.rows(ready=True)] == ["loaded"]


async def test_a_model_whose_newest_content_cannot_be_loaded_is_ready_with_the_reason(tmp_path: Path) -> None:
    server = Indexed("a")
    models = loaded_models(server)
    await use(models, "a")
    server.broken["a"] = "no weights"
    (tmp_path / "a").symlink_to(tmp_path)
    server.repository = str(tmp_path)
    with pytest.raises(ApiError, match="no weights"):
        await models.reload("a")
    (row,) = await RepositoryIndex(server, models, ModelFolders("")).rows()
    assert row["state"] == "READY"
    assert row["reason"] == "the newest content of its folder is not served: no weights"


async def test_versions_that_newer_content_does_not_have_are_not_listed(tmp_path: Path) -> None:
    class Rolled(Indexed):
        async def index_rows(self) -> list[dict[str, Any]]:
            unloaded = {"name": "a", "version": "4", "state": "UNAVAILABLE", "reason": "unloaded"}
            return [*await super().index_rows(), unloaded]

    (tmp_path / "a" / "3").mkdir(parents=True)
    server = Rolled("a")
    models = loaded_models(server)
    await use(models, "a")
    for root, listed in ((str(tmp_path), ["3"]), ("", ["3", "4"])):
        rows = await RepositoryIndex(server, models, ModelFolders(root)).rows()
        assert [row["version"] for row in rows] == listed


async def test_a_model_whose_name_cannot_be_served_is_unavailable_before_anyone_asks_for_it() -> None:
    server = Indexed("my model")
    (row,) = await RepositoryIndex(server, loaded_models(server), ModelFolders("")).rows()
    assert (row["state"], row["reason"][:15]) == ("UNAVAILABLE", "its name has ' ")


@pytest.mark.parametrize("body", [b"{", b"[1]", b"5", b"\xef\xbb\xbf{}"])
async def test_a_body_that_is_no_index_request_is_rejected(body: bytes) -> None:
    index, _ = await state_of_all("")
    with pytest.raises(ApiError, match="the body ") as raised:
        await index.page(body)
    assert raised.value.code == "invalid_json"


async def test_versions_of_models_that_are_not_loaded_are_those_of_their_folders(tmp_path: Path) -> None:
    for version in ("1", "3"):
        (tmp_path / "broken" / version).mkdir(parents=True)
        (tmp_path / "idle" / version).mkdir(parents=True)
    index, _ = await state_of_all(str(tmp_path))
    rows = [(row["name"], row.get("version"), row.get("state")) for row in await index.rows()]
    assert [row for row in rows if row[0] == "broken"] == [
        ("broken", "1", "UNAVAILABLE"),
        ("broken", "3", "UNAVAILABLE"),
    ]
    assert [row for row in rows if row[0] == "idle"] == [("idle", "1", None), ("idle", "3", None)]
    assert await index.has_version("idle", "1")
    assert not await index.has_version("idle", "9")


async def test_whether_a_loaded_model_has_a_version_is_for_triton_to_say() -> None:
    index, _ = await state_of_all("")
    assert await index.has_version("loaded", "3")
    assert not await index.has_version("loaded", "9")
    assert await index.has_version("idle", "9")  # nobody knows without its folder
