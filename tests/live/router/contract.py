"""What a router has to do with a graph and a request, by KServe's rules and by ours: the one place for the differences.

A model of both, on services whose replies are known. ``docs/reference/graph.md`` gives the reasons for each rule.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from switchyard.http.api_errors import shape_of
from switchyard.router.gjson import compile, is_valid_json
from tests.live.router.upstream import Reply

Graph = Mapping[str, Any]
UNAVAILABLE = (502, 503, 504)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """Where the two differ; all false is KServe's router."""

    nested_failures_keep_their_status: bool = False  # a Switch below the root that matches nothing: 404, not 500
    condition_keeps_status: bool = False  # what a condition ends a Sequence with keeps its status, instead of 200
    events_end_a_sequence: bool = False  # a condition on server-sent events ends it, instead of 500
    next_step_is_fallback: bool = False  # a condition is also tried on "unavailable", after 502, 503, 504 and no answer
    unavailable_is_retried: bool = False  # before the first byte, a step without an answer is asked again
    target_is_kept: bool = False  # a step whose URL has no path gets the request's method, path and query
    trace_context_is_kept: bool = False  # and the request's id and the platform's own headers, listed or not
    errors_have_the_callers_shape: bool = False  # on the paths of OpenAI's, Anthropic's and the V2 protocol


KSERVE = Rules()
OURS = Rules(
    nested_failures_keep_their_status=True,
    condition_keeps_status=True,
    events_end_a_sequence=True,
    next_step_is_fallback=True,
    unavailable_is_retried=True,
    target_is_kept=True,
    trace_context_is_kept=True,
    errors_have_the_callers_shape=True,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A client's request."""

    method: str
    target: str
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sent:
    """A call of a service that must arrive; ``repeats`` if it may come more than once."""

    service: int
    method: str
    target: str
    body: bytes
    repeats: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the client gets, None for a body that explains a failure; ``sent`` is not exact if an Ensemble failed.

    ``shape`` is the protocol that a failure is explained in, empty for KServe's own way.
    """

    status: int
    body: bytes | None
    sent: list[Sent]
    exact: bool
    headers: dict[str, str]
    shape: str = ""


class AmbiguousError(Exception):
    """Two steps of an Ensemble compete to decide the answer: either outcome is right."""


class _FailureError(Exception):
    def __init__(self, status: int = 500) -> None:
        self.status = status


class _NoAnswerError(_FailureError):
    pass


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    streams: bool = False

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status <= 299


def outcome(
    graph: Graph, patterns: str, asked: Asked, replies: Mapping[str, tuple[int, Reply | None]], rules: Rules
) -> Outcome:
    """What must happen; ``replies`` are by URL, with the number of the service; None where nobody listens."""
    run = _Run(graph["nodes"], asked, replies, rules)
    headers = run.propagated(patterns)
    try:
        answer = run.node("root", asked.body)
    except _FailureError as failure:
        known = rules.errors_have_the_callers_shape and asked.target.startswith(("/v1/", "/openai/", "/v2/"))
        return Outcome(failure.status, None, run.sent, run.exact, headers, shape_of(asked.target) if known else "")
    return Outcome(answer.status, answer.body, run.sent, run.exact, headers)


@dataclass(slots=True)
class _Run:
    nodes: Mapping[str, Any]
    asked: Asked
    replies: Mapping[str, tuple[int, Reply | None]]
    rules: Rules
    sent: list[Sent] = field(default_factory=list)
    exact: bool = True

    def propagated(self, patterns: str) -> dict[str, str]:
        found = {}
        for name, value in self.asked.headers.items():
            canonical = "-".join(word.capitalize() for word in name.split("-"))
            listed = any(
                re.search(pattern, canonical) for pattern in patterns.split(",") if not pattern.startswith("*")
            )
            kept = name == "x-request-id" or name.startswith(("trace", "x-switchyard-"))
            if listed or (self.rules.trace_context_is_kept and kept):
                found[name] = value
        return {"content-type": "application/json", **found}

    def node(self, name: str, body: bytes) -> _Answer:
        node = self.nodes[name]
        run = {
            "Switch": self._switch,
            "Splitter": self._splitter,
            "Ensemble": self._ensemble,
            "Sequence": self._sequence,
        }
        return run[node["routerType"]](node["steps"], body)

    def _step(self, step: Mapping[str, Any], body: bytes, *, has_fallback: bool = False) -> _Answer:
        if "nodeName" in step:
            try:
                return self.node(step["nodeName"], body)
            except _NoAnswerError:
                raise
            except _FailureError as failure:
                raise _FailureError(
                    failure.status if self.rules.nested_failures_keep_their_status else 500
                ) from failure
        number, reply = self.replies[step["serviceUrl"]]
        if reply is None:
            raise _NoAnswerError
        self.sent.append(self._sent(step["serviceUrl"], number, body, reply, has_fallback))
        if not reply.status:
            raise _NoAnswerError
        return _Answer(reply.status, reply.body, reply.content_type.startswith("text/event-stream"))

    def _sent(self, url: str, number: int, body: bytes, reply: Reply, has_fallback: bool) -> Sent:
        _, slash, rest = url.partition("://")[2].partition("/")
        method, target = "POST", slash + rest
        if not slash:
            method, target = (self.asked.method, self.asked.target) if self.rules.target_is_kept else ("POST", "/")
        # A kept connection that ends at the request is replaced even where the next step is a fallback.
        unavailable = not reply.status or (reply.status in UNAVAILABLE and not has_fallback)
        return Sent(number, method, target, body, self.rules.unavailable_is_retried and unavailable)

    def _switch(self, steps: list[Mapping[str, Any]], body: bytes) -> _Answer:
        for step in steps:
            if compile(step["condition"]).holds(body):
                return self._step(step, body)
        raise _FailureError(404)

    def _splitter(self, steps: list[Mapping[str, Any]], body: bytes) -> _Answer:
        return self._step(next(step for step in steps if step["weight"] == 100), body)

    def _ensemble(self, steps: list[Mapping[str, Any]], body: bytes) -> _Answer:
        joined: dict[str, Any] = {}
        failures: dict[tuple[type[_FailureError], int], _FailureError] = {}
        hard: list[_Answer] = []
        for index, step in enumerate(steps):
            try:
                answer = self._step(step, body)
                decoded = _object(answer.body)
            except _FailureError as failure:
                failures[type(failure), failure.status] = failure
                continue
            if step.get("dependency") == "Hard" and not answer.succeeded:
                hard.append(answer)
            joined[step.get("name") or str(index)] = decoded
        if failures or hard:
            self.exact = False
        if len(failures) + bool(hard) > 1:
            raise AmbiguousError
        if failures:
            raise next(iter(failures.values()))
        return hard[0] if hard else _Answer(200, json.dumps(joined).encode())

    def _sequence(self, steps: list[Mapping[str, Any]], body: bytes) -> _Answer:
        answer: _Answer | None = None
        for index, step in enumerate(steps):
            if "condition" in step:
                assert answer is not None
                ended = self._ended(answer, step["condition"])
                if ended is not None:
                    return ended
            given = answer.body if answer is not None and step.get("data") == "$response" else body
            if step.get("mapPredictionsToInstances"):
                given = _instances(given)
            is_fallback = self._is_fallback(step, steps[index + 1 : index + 2])
            try:
                answer = self._step(step, given, has_fallback=is_fallback)
            except _NoAnswerError:
                if not is_fallback:
                    raise
                answer = _Answer(503, _unavailable(503))
            if step.get("dependency") == "Hard" and not answer.succeeded:
                break
        assert answer is not None
        return answer

    def _is_fallback(self, step: Mapping[str, Any], following: list[Mapping[str, Any]]) -> bool:
        condition = following[0].get("condition", "") if following and step.get("dependency") != "Hard" else ""
        return self.rules.next_step_is_fallback and bool(condition) and compile(condition).holds(_unavailable(503))

    def _ended(self, answer: _Answer, condition: str) -> _Answer | None:
        if self.rules.events_end_a_sequence and answer.streams and answer.succeeded:
            return answer
        if compile(condition).holds(answer.body):
            return None
        unavailable = self.rules.next_step_is_fallback and answer.status in UNAVAILABLE
        if unavailable and compile(condition).holds(_unavailable(answer.status)):
            return None
        if not is_valid_json(answer.body):
            raise _FailureError
        return answer if self.rules.condition_keeps_status else _Answer(200, answer.body)


def _unavailable(status: int) -> bytes:
    return json.dumps({"error": {"message": "", "type": "unavailable", "param": None, "code": status}}).encode()


def _object(body: bytes) -> Any:
    if not is_valid_json(body):
        raise _FailureError
    decoded = json.loads(body)
    if not isinstance(decoded, dict | None):
        raise _FailureError
    return decoded


def _instances(body: bytes) -> bytes:
    try:
        decoded = json.loads(body)
    except ValueError:
        return body
    given = {key.lower(): value for key, value in decoded.items()} if isinstance(decoded, dict) else {}
    lists = [value for key, value in given.items() if key in ("predictions", "instances")]
    if not given.get("predictions") or not all(isinstance(value, list | None) for value in lists):
        return body
    return json.dumps({"instances": given["predictions"]}).encode()
