"""What the repository has: Triton's index, corrected by what only this predictor knows."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import orjson

from predictors.vision.triton.loading.loaded_models import LoadedModels
from predictors.vision.triton.model_folders import ModelFolders
from switchyard.http.api_errors import ApiError
from switchyard.http.json_body import parse_object
from switchyard.rpc.v2 import name_fault

FIELDS = ("name", "version", "state", "reason")  # in the order of their numbers in ``ModelIndex``

_STALE = "the newest content of its folder is not served: "  # what was loaded before goes on

Row = Mapping[str, str]


class IndexedServer(Protocol):
    """The calls to Triton that ``RepositoryIndex`` makes; each raises ``ApiError``."""

    async def index_rows(self) -> list[dict[str, Any]]: ...
    async def version_ready(self, model: str, version: str) -> bool: ...


class RepositoryIndex:
    """Every model and version, with the reason of those that cannot be loaded or that a client unloaded.

    A model that is not loaded for want of requests has no state, as in Triton before its first load: the next request
    loads it.
    """

    def __init__(self, triton: IndexedServer, loaded_models: LoadedModels, folders: ModelFolders) -> None:
        self._triton = triton
        self._loaded_models = loaded_models
        self._folders = folders

    async def rows(self, *, ready: bool = False) -> list[Row]:
        """Return a row for each version of each model; with ``ready`` only of those that are loaded.

        Raises:
            ApiError: Triton does not respond.
        """
        of_triton: dict[str, list[Row]] = {}
        for row in await self._triton.index_rows():
            of_triton.setdefault(row["name"], []).append(row)
        failed = (name for name, model in self._loaded_models.states().items() if model.failure)
        rows = [row for name in sorted({*of_triton, *failed}) for row in self._of_model(name, of_triton.get(name, []))]
        return [row for row in rows if row.get("state") == "READY"] if ready else rows

    async def page(self, request: bytes) -> bytes:
        """Handle a V2 index request over HTTP.

        Raises:
            ApiError: 400 it is not one; Triton does not respond.
        """
        ready = bool(request.strip()) and parse_object(request).get("ready") is True
        return orjson.dumps(await self.rows(ready=ready))

    async def require_version(self, model: str, version: str) -> None:
        """Check the version that a request names, empty for none.

        Raises:
            ApiError: 404 the model does not have it; Triton does not respond.
        """
        if version and not await self.has_version(model, version):
            raise ApiError("model_not_found", f"model {model!r} has no version {version[:80]!r}")

    async def has_version(self, model: str, version: str) -> bool:
        """Whether a model has a version, which Triton decides for one that is loaded.

        Raises:
            ApiError: Triton does not respond.
        """
        versions = self._folders.versions(model)
        if versions and version not in versions:
            return False
        return self._loaded_models.loaded(model) is None or await self._triton.version_ready(model, version)

    def _of_model(self, name: str, of_triton: list[Row]) -> Iterator[Row]:
        model = self._loaded_models.states().get(name)
        if self._loaded_models.loaded(name) is not None:
            told: Row = {"reason": _STALE + model.reload_failure} if model is not None and model.reload_failure else {}
            # Triton keeps rows of versions that it unloaded when newer content did not have them any more.
            versions = self._folders.versions(name)
            kept = (row for row in of_triton if row.get("state") == "READY" or row.get("version", "") in versions)
            yield from ({**row, **told} for row in (kept if versions else of_triton))
            return
        state: Row = {}
        failure = name_fault(name) or (model.failure if model is not None else "")
        if failure:
            state = {"state": "UNAVAILABLE", "reason": failure}
        elif model is not None and model.unloaded_by_client:
            state = {"state": "UNAVAILABLE", "reason": "unloaded"}  # Triton's words
        versions = self._folders.versions(name) or [row["version"] for row in of_triton if row.get("version")]
        for version in versions or [""]:
            yield {"name": name, **({"version": version} if version else {}), **state}
