"""Finds the route of a request."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from switchyard.gateway.routes.table import ROUTES, Route
from switchyard.http.api_errors import Shape, shape_of

_REMEMBERED = 1024  # different requests; clients send few
_REMEMBERED_LENGTH = 256  # bytes of one; a path may be far longer, and a thousand of those would fill memory
# It becomes part of the path at the model, so it can hold no slash, no percent sign and not be "..".
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")


class Match(NamedTuple):
    """A route and the values of its path's variables."""

    route: Route
    params: Mapping[str, str]


class Missed(NamedTuple):
    """No route matches; ``allow`` lists the methods that the path has."""

    allow: str
    shape: Shape

    @property
    def route(self) -> Route:
        """One route for all paths that are not served: one value in metrics, whatever clients try."""
        return Route(method="", path="unknown", summary="", shape=self.shape, by="nobody")


_NO_PARAMS: Mapping[str, str] = {}


class Router:
    """Finds the route of a request; ``/openai`` before an OpenAI path is accepted, as KServe's clients send it.

    HEAD matches as GET. A slash at a path's end makes it another path.
    """

    def __init__(self, routes: Iterable[Route] = ROUTES) -> None:
        self._fixed: dict[tuple[str, str], Match] = {}
        self._templates: dict[tuple[str, int], list[tuple[list[str], Route]]] = {}
        self._methods: set[str] = set()
        for route in routes:
            self._methods.add(route.method)
            if "{" not in route.path:
                self._fixed[route.method, route.path] = Match(route, _NO_PARAMS)
            else:
                segments = route.path.split("/")
                self._templates.setdefault((route.method, len(segments)), []).append((segments, route))
        self._remembered = lru_cache(_REMEMBERED)(self._match_raw)

    def match_raw(self, method: bytes, path: bytes) -> Match | Missed:
        """Do as ``match``, for a path as it was sent, percent-encoded."""
        # Nearly all requests end here, by one look-up of bytes that are not decoded.
        if len(method) + len(path) <= _REMEMBERED_LENGTH:
            return self._remembered(method, path)
        return self._match_raw(method, path)

    def _match_raw(self, method: bytes, path: bytes) -> Match | Missed:
        return self.match(method.decode("latin-1"), unquote(path.decode("latin-1")))

    def match(self, method: str, path: str) -> Match | Missed:
        """Return the route of ``method`` and ``path``, or why there is none."""
        found = self._find("GET" if method == "HEAD" else method, path)
        if found is not None:
            return found
        # Every method is tried only now: a path that is served never pays for the 405 and OPTIONS of others.
        allowed = {other for other in self._methods if self._find(other, path)}
        if allowed:
            allowed |= {"OPTIONS", "HEAD"} if "GET" in allowed else {"OPTIONS"}
        return Missed(", ".join(sorted(allowed)), shape_of(path))

    def _find(self, method: str, path: str) -> Match | None:
        found = self._look_up(method, path)
        if found is None and path.startswith("/openai/"):
            found = self._look_up(method, path.removeprefix("/openai"))
            return found if found is not None and found.route.prefixed else None
        return found

    def _look_up(self, method: str, path: str) -> Match | None:
        # Fixed paths first, or ``/v1/chat/completions`` would be the chat of a model called ``completions``.
        fixed = self._fixed.get((method, path))
        if fixed is not None:
            return fixed
        segments = path.split("/")
        for template, route in self._templates.get((method, len(segments)), ()):
            params = _fill(template, segments)
            if params is not None:
                return Match(route, params)
        return None


def _fill(template: list[str], segments: list[str]) -> dict[str, str] | None:
    params = {}
    for expected, given in zip(template, segments, strict=True):
        if expected == given:
            continue
        if not expected.startswith("{"):
            return None
        name, _, rest = expected[1:].partition("}")
        if not given.endswith(rest) or given == rest:
            return None
        value = given[: len(given) - len(rest)]
        if name == "version" and not _VERSION.fullmatch(value):
            return None
        params[name] = value
    return params
