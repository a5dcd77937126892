"""Reads the file of a batch: what each line asks, and what is wrong with it."""

import os
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from switchyard.gateway.batches.batch import Fault
from switchyard.gateway.routes.match import Match, Missed, Router
from switchyard.gateway.routes.table import Route

MOST_LINES = 50_000  # of a batch, as OpenAI has it
LINE_BYTES = 4 * 1024 * 1024  # of one request: so many of them are in memory as are under way
_FAULTS = 100  # that are told
_ID_CHARACTERS = 512
_BATCHED = frozenset(
    (
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/responses",
        "/v1/messages",
        "/v1/embeddings",
        "/v1/score",
        "/v1/rerank",
        "/v2/models/{model}/infer",
        "/v2/models/{model}/versions/{version}/infer",
        "/v2/models/{model}/generate",
    )
)
_LAST = ("too_many_lines", "line_too_long")  # what follows is not read
_TEMPLATE = {"{model}": "model", "{version}": "1"}


@dataclass(frozen=True, slots=True)
class Request:
    """What a line asks; ``body`` is JSON, and ``model`` empty where it names none."""

    number: int
    custom_id: str
    url: str
    match: Match
    model: str
    body: bytes


class BadLineError(ValueError):
    """A line is no request; ``fault`` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def endpoint_route(router: Router, endpoint: str) -> Route | None:
    """Return the route of a batch's endpoint, None if it is not for batches; V2's may be the template of its paths."""
    path = endpoint
    for variable, value in _TEMPLATE.items():
        path = path.replace(variable, value)
    found = router.match("POST", path)
    return found.route if isinstance(found, Match) and found.route.path in _BATCHED else None


class Requests:
    """The lines of a file that is open: numbers from 0, each with the model that it names."""

    def __init__(self, path: Path, route: Route, router: Router) -> None:
        self._file = path.open("rb")
        self._route = route
        self._router = router
        self._offsets = array("Q")
        self._lengths = array("L")
        self._lines = array("L")
        self._models = array("L")
        self.models: list[str] = []

    def __len__(self) -> int:
        return len(self._offsets)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def check(self) -> Sequence[Fault]:
        """Read all lines; return what is wrong with them, of many the first."""
        faults: list[Fault] = []
        known: set[str] = set()
        models: dict[str, int] = {}
        offset = 0
        for line, text in enumerate(iter(lambda: self._file.readline(LINE_BYTES + 1), b""), 1):
            start, offset = offset, offset + len(text)
            if not text.strip():
                continue
            try:
                request = self._read(len(self), line, text)
                if request.custom_id in known:
                    raise _bad("duplicate_custom_id", line, "another line has the same custom_id", "custom_id")
                if len(self) >= MOST_LINES:
                    raise _bad("too_many_lines", line, f"a batch has at most {MOST_LINES} lines; make several")
            except BadLineError as err:
                faults.append(err.fault)
                if len(faults) >= _FAULTS or err.fault.code in _LAST:
                    break
                continue
            known.add(request.custom_id)
            self._offsets.append(start)
            self._lengths.append(len(text))
            self._lines.append(line)
            self._models.append(models.setdefault(request.model, len(models)))
        if not faults and not len(self):
            faults.append(Fault(code="empty_file", message="the file has no lines"))
        self.models = list(models)
        return faults

    def by_model(self, numbers: Iterable[int]) -> Mapping[str, Sequence[int]]:
        """Return numbers by the models of their lines, in the order of the first of each."""
        groups: dict[str, list[int]] = {}
        for number in numbers:
            groups.setdefault(self.models[self._models[number]], []).append(number)
        return groups

    def get(self, number: int) -> Request:
        """Return a line that was checked."""
        text = os.pread(self._file.fileno(), self._lengths[number], self._offsets[number])
        return self._read(number, self._lines[number], text)

    def custom_id(self, number: int) -> str:
        """Return the name that the client gave a line."""
        return self.get(number).custom_id

    def _read(self, number: int, line: int, text: bytes) -> Request:
        if len(text) > LINE_BYTES:
            raise _bad("line_too_long", line, f"a line has at most {LINE_BYTES} bytes")
        try:
            fields: Any = orjson.loads(text)
        except orjson.JSONDecodeError as err:
            raise _bad("invalid_json_line", line, f"the line is not JSON: {err}") from None
        if not isinstance(fields, dict):
            raise _bad("invalid_json_line", line, "the line is no JSON object")
        custom_id, url, body = fields.get("custom_id"), fields.get("url"), fields.get("body")
        if not isinstance(custom_id, str) or not 0 < len(custom_id) <= _ID_CHARACTERS:
            message = f"custom_id is a text of 1 to {_ID_CHARACTERS} characters"
            raise _bad("missing_required_parameter", line, message, "custom_id")
        if fields.get("method", "POST") != "POST":
            raise _bad("invalid_method", line, "method is POST", "method")
        found = self._router.match("POST", url) if isinstance(url, str) else None
        if not isinstance(url, str) or found is None or isinstance(found, Missed) or found.route is not self._route:
            raise _bad("mismatched_url", line, f"url is not one of {self._route.path}, the batch's endpoint", "url")
        if not isinstance(body, dict):
            raise _bad("missing_required_parameter", line, "body is a JSON object", "body")
        if body.get("stream") is True:
            raise _bad("invalid_request", line, "a line of a batch has one response: leave stream out", "body.stream")
        model = found.params.get("model", body.get("model"))
        return Request(number, custom_id, url, found, model if isinstance(model, str) else "", orjson.dumps(body))


def _bad(code: str, line: int, message: str, param: str | None = None) -> BadLineError:
    return BadLineError(Fault(code=code, message=message, line=line, param=param))
