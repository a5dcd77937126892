"""The models of repositories as their servers know them: which are loaded, which cannot be, in which versions."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from switchyard.catalog import Catalog, Model, State
from switchyard.http.client import Client, Timeouts
from switchyard.http.client.errors import UpstreamError

_INDEX = "/v2/repository/index"
_TIMEOUTS = Timeouts(connect=0.5, first_byte=1.0, total=1.0)  # a list must not wait long for one busy server
_UNLOADED = "unloaded"  # Triton's reason for a model that a client unloaded, which the next request loads

Rows = list[Mapping[str, Any]]


def knows_itself(model: Model) -> bool:
    """Return whether only the model's own server knows if it is loaded: clients may unload it while the server runs."""
    return model.kind == "vision" and model.state.phase == "ready"


class Repositories:
    """Asks the servers of models that are awake for their indexes; what does not respond is as the catalog says."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def current(self, catalog: Catalog) -> Catalog:
        """Return the catalog with what the servers know better."""
        urls = sorted({model.url for model in catalog.models.values() if knows_itself(model)})
        if not urls:
            return catalog
        indexes = dict(zip(urls, await asyncio.gather(*map(self._rows, urls)), strict=True))
        models = {
            name: _corrected(model, [row for row in indexes[model.url] if row.get("name") == name])
            if knows_itself(model)
            else model
            for name, model in catalog.models.items()
        }
        return Catalog(models)

    async def _rows(self, url: str) -> Rows:
        try:
            response = await self._client.request(b"GET", url.rstrip("/") + _INDEX, (), timeouts=_TIMEOUTS)
            body = await response.read()
            rows = orjson.loads(body) if response.status == 200 else []
        except (UpstreamError, orjson.JSONDecodeError):
            return []
        return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _corrected(model: Model, rows: Rows) -> Model:
    versions = tuple(str(row["version"]) for row in rows if row.get("version")) or model.versions
    states = [row.get("state") for row in rows]
    if "READY" in states or "UNAVAILABLE" not in states:
        # The reason of what is served is why the newest content is not; all versions of a model have the same.
        reasons = (str(row["reason"]) for row in rows if row.get("state") == "READY" and row.get("reason"))
        notices = dict.fromkeys((model.notice, *reasons))
        return replace(model, versions=versions, notice=" ".join(filter(None, notices)))
    reason = str(next(filter(None, (row.get("reason") for row in rows)), ""))
    unloaded = State(phase="asleep", reason=reason)
    state = unloaded if reason == _UNLOADED else State(phase="failed", reason=reason, retryable=True)
    return replace(model, versions=versions, state=state)
