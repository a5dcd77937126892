"""Stage of the routes that the catalog can answer; none of them wakes a model."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import orjson

from switchyard.catalog import Catalog, Model
from switchyard.gateway.call import Call
from switchyard.gateway.lookup import Locate, Visible, failure, is_unserved, require_version
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.gateway.upstream.repositories import Repositories, knows_itself
from switchyard.gateway.upstream.retries import UpstreamRetries

SERVER = "switchyard"
_JSON = (b"content-type", b"application/json")
# By Triton's names; models of kind vision have them all.
EXTENSIONS = ("model_repository", "model_configuration", "statistics", "classification", "binary_tensor_data")

Entry = Callable[[Catalog, Model | None], Any]


def server_version() -> str:
    """Return the version of the installed distribution."""
    return version("switchyard-serving")


def openai_model(model: Model) -> dict[str, Any]:
    """Return a model in OpenAI's form, with additions; ``ready`` is what KServe's V1 protocol has on this path."""
    entry: dict[str, Any] = {
        "id": model.name,
        "object": "model",
        "created": 0,
        "owned_by": SERVER,
        "kind": model.kind,
        "state": model.state.phase,
        "ready": not is_unserved(model),
    }
    if model.context_length is not None:
        entry["max_model_len"] = model.context_length
    if reason := model.state.reason or model.notice:
        entry["reason"] = reason
    if model.card is not None and model.card.license:
        entry["license"] = model.card.license
    return entry


def _described(model: Model) -> dict[str, Any]:
    """Return a model in OpenAI's form with all that the model repository knows of it."""
    entry = openai_model(model)
    if model.kind == "vision":
        entry["versions"] = list(model.versions)
    if model.card is not None:
        fields = asdict(model.card)
        entry["size_bytes"] = fields.pop("bytes")
        entry |= {name: value for name, value in fields.items() if value}
    return entry


def index_entries(catalog: Catalog) -> Iterator[dict[str, str]]:
    """Yield each version of each model as an entry of Triton's repository index.

    A model that sleeps is READY, because a request wakes it; one that a client unloaded has a reason and is not. One
    that is served while the newest content of its folder is not is READY, with the reason for that.
    """
    for model in catalog.models.values():
        reason = model.state.reason
        shown = "UNAVAILABLE" if is_unserved(model) or reason else "READY"
        for number in model.versions or ("",):
            yield {"name": model.name, "version": number, "state": shown, "reason": reason or model.notice}


def _one(catalog: Catalog, model: Model | None) -> Any:
    assert model is not None
    return _described(model)


def _all(catalog: Catalog, model: Model | None) -> Any:
    return {"object": "list", "data": [openai_model(one) for one in catalog.models.values()]}


def _ready(catalog: Catalog, model: Model | None) -> Any:
    assert model is not None
    if is_unserved(model):
        raise failure(model)
    # Asleep too: clients that wait for readiness before their first request would wait for ever, as only that wakes it.
    return {"name": model.name, "ready": True}


def _index(catalog: Catalog, model: Model | None) -> Any:
    return list(index_entries(catalog))


_RESPONSES: dict[str, Entry] = {
    "/v1/models": _all,
    "/v1/models/{model}": _one,
    "/v2": lambda catalog, model: {"name": SERVER, "version": server_version(), "extensions": list(EXTENSIONS)},
    "/v2/health/live": lambda catalog, model: {"live": True},
    "/v2/health/ready": lambda catalog, model: {"ready": True},
    "/v2/models": lambda catalog, model: {"models": list(catalog.models)},
    "/v2/models/{model}/ready": _ready,
    "/v2/models/{model}/versions/{version}/ready": _ready,
    "/v2/repository/index": _index,
}
_READINESS = frozenset(path for path in _RESPONSES if path.endswith("}/ready"))
_LISTED_WHEN_FAILED = frozenset(("/v1/models/{model}",))
_WITH_STATES = frozenset(("/v1/models", "/v1/models/{model}", "/v2/repository/index"))


def readiness(*, locate: Locate, upstream: UpstreamRetries) -> Stage:
    """Ask the servers of such models; a request to any other wakes it, so ``listing`` says that it is ready."""

    async def stage(call: Call, proceed: Proceed) -> None:
        if call.route.path in _READINESS:
            model = locate(call.params["model"], call.identity)
            if knows_itself(model):
                call.model = model
                response = await upstream.open(call)
                try:
                    if response.status >= 400:
                        call.edge.respond(response.status, [_JSON], await response.read())
                        return
                finally:
                    response.close()
        await proceed(call)

    return stage


def listing(*, visible: Visible, locate: Locate, repositories: Repositories) -> Stage:
    """Respond from the catalog; ``/v1/models`` shows failed models, all other routes reject them."""

    async def stage(call: Call, proceed: Proceed) -> None:
        path = call.route.path
        # /v2/health/live says that the process runs, which an unreadable catalog does not change
        catalog = Catalog({}) if path == "/v2/health/live" else visible.to(call.identity)
        if path in _WITH_STATES:
            catalog = await repositories.current(catalog)
        name = call.params.get("model")
        if name is not None:
            call.model = catalog.get(name) if path in _LISTED_WHEN_FAILED else None
            call.model = call.model or locate(name, call.identity)
            if not knows_itself(call.model):
                require_version(call.model, call.params.get("version", ""))
        call.edge.respond(200, [_JSON], orjson.dumps(_RESPONSES[path](catalog, call.model)))

    return stage
