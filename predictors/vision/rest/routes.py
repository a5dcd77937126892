"""The route of each path. Only paths that are listed here reach Triton.

Shared memory belongs to clients on the same machine, trace and log settings to the operator: they are not forwarded.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal
from urllib.parse import quote

Kind = Literal[
    "live",
    "ready",
    "server",
    "models",
    "index",
    "model",
    "model-ready",
    "infer",
    "image",
    "chat",
    "predict",
    "load",
    "unload",
    "metrics",
    "closed",
    "kserve",
]

_MODEL = re.compile(
    r"/v2/models/(?P<model>[^/]+)(?:/versions/(?P<version>[^/]+))?(?:/(?P<verb>infer|generate|generate_stream|ready|config|stats))?"
)
_CONTROL = re.compile(r"/v2/repository/models/(?P<model>[^/]+)/(?P<verb>load|unload)")
_PREDICT = re.compile(r"/v1/models/(?P<model>[^/]+):predict")
_IMAGE = re.compile(r"/v1/vision/(?P<model>[^/]+)(?P<chat>/chat)?")
_FIXED: dict[str, Kind] = {
    "/v2": "server",
    "/v2/": "server",
    "/v2/health/live": "live",
    "/v2/health/ready": "ready",
    "/v2/models": "models",
    "/v1/models": "models",
    "/v2/models/stats": "server",
    "/v2/repository/index": "index",
    "/metrics": "metrics",
}

_MAX_PATH = 1024  # characters; no route is longer, and routes are cached by path


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """``target`` is the path for Triton, built only from the parsed parts."""

    kind: Kind
    model: str = ""
    version: str = ""
    verb: str = ""
    target: str = ""


def route(path: str) -> Route:
    """Return the route of a decoded path; paths that are neither V2's nor ours are KServe's."""
    return _route(path) if len(path) <= _MAX_PATH else Route(kind="closed")


@lru_cache(maxsize=2048)
def _route(path: str) -> Route:
    if kind := _FIXED.get(path):
        return Route(kind=kind, target=path)
    if match := _MODEL.fullmatch(path):
        model, version, verb = match["model"], match["version"] or "", match["verb"] or ""
        # Quoted anew, because the path has been decoded: no name can lead to another of Triton's paths.
        target = f"/v2/models/{quote(model, safe='')}"
        target += (f"/versions/{quote(version)}" if version else "") + (f"/{verb}" if verb else "")
        return Route(kind=_kind(verb), model=model, version=version, verb=verb, target=target)
    if match := _CONTROL.fullmatch(path):
        return Route(kind="load" if match["verb"] == "load" else "unload", model=match["model"])
    if match := _PREDICT.fullmatch(path):
        return Route(kind="predict", model=match["model"])
    if match := _IMAGE.fullmatch(path):
        return Route(kind="chat" if match["chat"] else "image", model=match["model"])
    # Closed by default: a path that a later Triton adds stays out until somebody has looked at it.
    return Route(kind="closed" if path.startswith(("/v2/", "/v1/vision")) else "kserve")


def _kind(verb: str) -> Kind:
    if verb in ("infer", "generate", "generate_stream"):
        return "infer"
    return "model-ready" if verb == "ready" else "model"
