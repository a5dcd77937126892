"""Recording rules and alerts as values, and the plain form in which Prometheus reads them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["page", "ticket", "none"]
Kind = Literal["symptom", "cause", "monitoring"]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+)(ms|s|m|h|d)")
_RANGE = re.compile(r"\[[0-9a-z:]+\]|\boffset [0-9a-z]+")
_SECONDS = re.compile(r"<(\d+(?:ms|s|m|h|d))>")


@dataclass(frozen=True, slots=True)
class Clock:
    """Divides every duration of a rule by ``speed``: tests see in seconds what takes production minutes."""

    speed: float = 1.0

    def seconds(self, duration: str) -> float:
        """Return how many seconds a duration of Prometheus, such as ``5m``, is by this clock."""
        found = _DURATION.fullmatch(duration)
        if found is None:
            raise ValueError(f"{duration!r} is not a duration such as 5m")
        return int(found[1]) * _UNITS[found[2]] / self.speed

    def duration(self, duration: str) -> str:
        """Return a duration of Prometheus by this clock."""
        return duration if self.speed == 1 else f"{max(1, round(self.seconds(duration) * 1000))}ms"

    def expression(self, text: str) -> str:
        """Return an expression with its ranges and offsets, and its ``<5m>`` as seconds, by this clock."""
        text = _SECONDS.sub(lambda found: f"{self.seconds(found[1]):g}", text)
        return _RANGE.sub(lambda found: _DURATION.sub(lambda one: self.duration(one[0]), found[0]), text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A recording rule."""

    name: str
    expression: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alert: ``means`` says in words when it fires, ``after`` how long its expression must hold before.

    ``<5m>`` in the expression is that duration in seconds, so that a faster ``Clock`` shortens it too.
    """

    name: str
    severity: Severity
    kind: Kind
    expression: str
    means: str
    summary: str
    description: str
    after: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rules that are evaluated one after the other, every ``interval``."""

    name: str
    interval: str
    rules: Sequence[Record | Alert]

    @property
    def alerts(self) -> list[Alert]:
        return [rule for rule in self.rules if isinstance(rule, Alert)]


def rule_file(groups: Sequence[Group], runbooks: str, clock: Clock | None = None) -> dict[str, Any]:
    """Return groups as a rule file of Prometheus; ``runbooks`` is where the folder of runbooks is read."""
    clock = clock or Clock()
    return {
        "groups": [
            {
                "name": group.name,
                "interval": clock.duration(group.interval),
                "rules": [_rule(rule, runbooks, clock) for rule in group.rules],
            }
            for group in groups
        ]
    }


def _rule(rule: Record | Alert, runbooks: str, clock: Clock) -> dict[str, Any]:
    expression = clock.expression(rule.expression)
    if isinstance(rule, Record):
        return {"record": rule.name, "expr": expression} | ({"labels": dict(rule.labels)} if rule.labels else {})
    return {
        "alert": rule.name,
        "expr": expression,
        **({"for": clock.duration(rule.after)} if rule.after else {}),
        "labels": {"severity": rule.severity, "kind": rule.kind, **rule.labels},
        "annotations": {
            "summary": rule.summary,
            "description": rule.description,
            "runbook_url": f"{runbooks}/{rule.name}.md",
        },
    }
