"""An InferenceGraph's spec as values: nodes, their steps, and the router's timeouts.

Read from the ``spec`` of KServe's InferenceGraph (v1alpha1) by the CRD's own keys, which is what ``--graph-json``
carries. Keys that do not concern a router (``resources``, ``minReplicas`` and so on) are ignored, as KServe does.
Reading checks only the types of values; whether the graph can work is for ``check``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeVar, cast, get_args

import orjson

from switchyard.router import gjson

ROOT = "root"

Kind = Literal["Sequence", "Switch", "Splitter", "Ensemble"]
Severity = Literal["error", "warning"]

_T = TypeVar("_T")
_NAMES: Mapping[type, str] = {
    str: "a string",
    int: "a whole number",
    bool: "true or false",
    dict: "an object",
    list: "a list",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One sentence about a graph: ``where`` names node and step, ``text`` says what is wrong and what to do."""

    severity: Severity
    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.where}: {self.text}"


class GraphError(ValueError):
    """The graph cannot run; the message lists every problem, one per line."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


@dataclass(frozen=True, kw_only=True, slots=True)
class RouterTimeouts:
    """``routerTimeouts`` in seconds, 0 or less for none; ``service_client`` bounds each call of a step (default: none).

    Defaults are KServe's (pkg/constants: RouterTimeoutsServerRead, RouterTimeoutServerWrite, RouterTimeoutServerIdle).
    """

    server_read: int = 60
    server_write: int = 60
    server_idle: int = 180
    service_client: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One target of a node: another ``node``, or the service at ``url``.

    ``service`` is the InferenceService that KServe's controller turns into ``url``; ``condition`` is None when there is
    no ``condition_text``; ``data`` is the text as written, of which only ``$response`` matters (``uses_response``).
    """

    name: str
    node: str | None = None
    url: str | None = None
    uses_response: bool = False
    weight: int | None = None
    condition: gjson.Condition | None = None
    condition_text: str = ""
    hard: bool = False
    maps_predictions: bool = False
    service: str | None = None
    data: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A named node, and how it chooses among its steps."""

    name: str
    kind: Kind
    steps: tuple[Step, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Graph:
    """All nodes by name; a request starts at ``root``."""

    nodes: Mapping[str, Node]
    timeouts: RouterTimeouts


def parse(text: str | bytes) -> Graph:
    """Read the JSON of an InferenceGraph's ``spec``.

    Raises:
        GraphError: it is not JSON, or a value has the wrong type.
    """
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as err:
        text = f"it is not JSON ({err}); give the spec of an InferenceGraph"
        raise GraphError((Problem("error", "graph", text),)) from err
    return read(document)


def read(spec: object) -> Graph:
    """Read a decoded ``spec``.

    Raises:
        GraphError: a value has the wrong type.
    """
    reader = _Reader()
    graph = reader.graph(spec)
    if reader.problems:
        raise GraphError(tuple(reader.problems))
    return graph


def step_label(index: int, name: str) -> str:
    """Return a step's name in messages: its number from 1, and its name if it has one."""
    return f'step {index + 1} "{name}"' if name else f"step {index + 1}"


class _Reader:
    """Collects every problem, so that a user can correct all of them at once."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def graph(self, spec: object) -> Graph:
        fields = self._typed(spec, dict, "graph", "the spec") or {}
        nodes = self._field(fields, "nodes", dict, "graph") or {}
        limits = self._field(fields, "routerTimeouts", dict, "graph") or {}
        return Graph(
            nodes=MappingProxyType({str(name): self._node(str(name), node) for name, node in nodes.items()}),
            timeouts=self._timeouts(limits),
        )

    def _timeouts(self, fields: dict[str, object]) -> RouterTimeouts:
        given = {
            attribute: self._field(fields, key, int, "routerTimeouts")
            for attribute, key in (
                ("server_read", "serverRead"),
                ("server_write", "serverWrite"),
                ("server_idle", "serverIdle"),
                ("service_client", "serviceClient"),
            )
        }
        return RouterTimeouts(**{attribute: seconds for attribute, seconds in given.items() if seconds is not None})

    def _node(self, name: str, value: object) -> Node:
        where = f'node "{name}"'
        fields = self._typed(value, dict, where, "it") or {}
        kind = self._field(fields, "routerType", str, where)
        if kind not in get_args(Kind):
            shown = f'"{kind}"' if kind else "missing"
            self._add(where, f"routerType is {shown}; set Sequence, Switch, Splitter or Ensemble")
        steps = self._field(fields, "steps", list, where) or []
        return Node(
            name=name,
            kind=cast(Kind, kind),
            steps=tuple(self._step(where, index, step) for index, step in enumerate(steps)),
        )

    def _step(self, node: str, index: int, value: object) -> Step:
        where = f"{node}, {step_label(index, '')}"
        fields = self._typed(value, dict, where, "it") or {}
        name = self._field(fields, "name", str, where) or ""
        where = f"{node}, {step_label(index, name)}"
        condition = self._field(fields, "condition", str, where) or ""
        data = self._field(fields, "data", str, where) or ""
        dependency = self._field(fields, "dependency", str, where) or "Soft"
        if dependency not in ("Soft", "Hard"):
            self._add(where, f'dependency is "{dependency}"; set Soft or Hard')
        return Step(
            name=name,
            node=self._field(fields, "nodeName", str, where) or None,
            url=self._field(fields, "serviceUrl", str, where) or None,
            service=self._field(fields, "serviceName", str, where) or None,
            uses_response=data == "$response",
            data=data,
            weight=self._field(fields, "weight", int, where),
            condition=gjson.compile(condition) if condition else None,
            condition_text=condition,
            hard=dependency == "Hard",
            maps_predictions=self._field(fields, "mapPredictionsToInstances", bool, where) or False,
        )

    def _field(self, fields: dict[str, object], key: str, wanted: type[_T], where: str) -> _T | None:
        return self._typed(fields.get(key), wanted, where, key)

    def _typed(self, value: object, wanted: type[_T], where: str, what: str) -> _T | None:
        """Return ``value`` if it has the type; null counts as absent, as in Go's decoder."""
        if value is None or type(value) is wanted:  # not isinstance: true is no whole number
            return value
        self._add(where, f"{what} is {orjson.dumps(value, default=str).decode()[:80]}; it must be {_NAMES[wanted]}")
        return None

    def _add(self, where: str, text: str) -> None:
        self.problems.append(Problem("error", where, text))
