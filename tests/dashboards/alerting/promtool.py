"""Turns scenarios of an alert into unit tests of promtool, and runs them."""

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from dashboards.alerting import files, slos
from dashboards.alerting.rules import Alert, Clock, Group, Record, rule_file

Phase = Literal["good", "below", "bad", "idle", "gone"]
PROMISED = slos.read()
ALERTS = files.alerts(PROMISED)
GROUPS = [group for of_file in files.groups(PROMISED).values() for group in of_file]
_LABEL = re.compile(r"\$labels\.(\w+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """A value while all is well, just below the threshold, and beyond it; ``idle`` is that without traffic.

    The series is not there in a phase of ``gone``.
    """

    good: float
    bad: float
    below: float | None = None
    idle: float | None = None
    gone: tuple[Phase, ...] = ()

    def at(self, phase: Phase) -> float:
        given = {"good": self.good, "bad": self.bad, "below": self.below, "idle": self.idle}.get(phase)
        return self.good if given is None else given


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """What is added in each step, as of ``Gauge``; nothing without traffic."""

    good: float = 0
    bad: float = 0
    below: float = 0

    def at(self, phase: Phase) -> float:
        return {"good": self.good, "bad": self.bad, "below": self.below}.get(phase, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What makes an alert fire; times are counted in steps.

    ``within`` is when it fires at the latest after all became bad, ``clears`` when it is resolved after all is good,
    and ``fades`` after the series went, if that is later. ``idle_fires`` and ``absent_fires`` say why it does so
    without traffic, or without series.
    """

    alert: str
    series: Mapping[str, Gauge | Counter]
    within: int
    clears: int
    severity: str = "ticket"
    window: str = ""
    step: str = "1m"
    warm: int = 20
    fades: int = 0
    idle_fires: str = ""
    absent_fires: str = ""
    records: frozenset[str] = field(default_factory=frozenset)

    @property
    def name(self) -> str:
        return "-".join(part for part in (self.alert, self.severity, self.window) if part)

    @property
    def of(self) -> Alert:
        """The alert that this is about."""
        found = [one for one in ALERTS if one.name == self.alert and one.severity == self.severity]
        return next(one for one in found if one.labels.get("window", "") == self.window)

    @property
    def counts(self) -> bool:
        return any(isinstance(kind, Counter) for kind in self.series.values())

    @property
    def delay(self) -> int:
        """Steps for which the expression must hold."""
        return int(Clock().seconds(self.of.after or "0s") // Clock().seconds(self.step))


def level(alert: str, series: str, value: Gauge, after: int, severity: str = "ticket") -> Scenario:
    """Return the scenario of one gauge; the alert waits ``after`` minutes."""
    return Scenario(alert=alert, severity=severity, series={series: value}, within=after + 1, clears=1)


def pair(alert: str, series: tuple[str, str], value: Gauge, other: float, after: int) -> Scenario:
    """Return the scenario of a gauge that is compared with another, which stays at ``other``."""
    both = {series[0]: value, series[1]: Gauge(good=other, bad=other)}
    return Scenario(alert=alert, series=both, within=after + 1, clears=1)


def single(alert: str, series: str, minutes: int, severity: str = "ticket", after: int = 0) -> Scenario:
    """Return the scenario of a counter whose first increase within ``minutes`` is enough."""
    return Scenario(
        alert=alert, severity=severity, series={series: Counter(bad=1)}, within=after + 2, clears=minutes + 1
    )


def rules(scenario: Scenario) -> list[Group]:
    """Return the alert alone, with what is recorded for it: the others would only take time."""
    alert = scenario.of
    groups = []
    for group in GROUPS:
        slo = {f'slo="{rule.labels["slo"]}"': rule for rule in group.rules if isinstance(rule, Record) and rule.labels}
        names = [mark for mark in slo if mark in alert.expression]
        kept = [
            rule
            for rule in group.rules
            if rule == alert
            or (isinstance(rule, Record) and rule.name in scenario.records and f'slo="{rule.labels["slo"]}"' in names)
        ]
        if kept:
            groups.append(Group(name=group.name, interval=group.interval, rules=kept))
    return groups


def values(kind: Gauge | Counter, phases: Sequence[tuple[Phase, int]], reset: int = -1) -> str:
    """Write a series: how long it is in which phase; a process that begins anew at step ``reset`` counts from 0."""
    written: list[str] = []
    total, step = 0.0, 0
    for phase, steps in phases:
        for _ in range(steps):
            if phase == "gone" or (isinstance(kind, Gauge) and phase in kind.gone):
                written.append("stale")
            elif isinstance(kind, Gauge):
                written.append("_" if step == reset else f"{kind.at(phase):.10g}")
            else:
                total = kind.at(phase) if step == reset else total + kind.at(phase)
                written.append(f"{total:.10g}")
            step += 1
    return " ".join(written)


class Sheet:
    """The unit tests of one scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.step = Clock().seconds(scenario.step)
        matchers = {"alertname": scenario.alert, "alertstate": "firing", "severity": scenario.severity}
        matchers |= {"window": scenario.window} if scenario.window else {}
        self._selector = ",".join(f'{name}="{value}"' for name, value in matchers.items())
        self.tests: list[dict[str, Any]] = []

    def add(self, name: str, phases: Sequence[tuple[Phase, int]], *checks: dict[str, Any], reset: int = -1) -> None:
        """Add a test: its phases, and what is asked when."""
        series = [
            {"series": name, "values": values(kind, phases, reset)} for name, kind in self.scenario.series.items()
        ]
        unrelated = {"series": "unrelated", "values": f"1x{sum(steps for _, steps in phases)}"}
        self.tests.append(
            {
                "name": name,
                "interval": self.scenario.step,
                "input_series": [*series, unrelated],
                "promql_expr_test": list(checks),
            }
        )

    def fires(self, step: int, *, is_so: bool = True, labels: Sequence[str] = ()) -> dict[str, Any]:
        """Ask whether the alert fires at ``step``, with none of some labels empty."""
        selector = ",".join([self._selector, *(f'{label}!=""' for label in labels)])
        return self._ask(f"count(ALERTS{{{selector}}}) > bool 0 or vector(0)", step, float(is_so))

    def never(self, step: int) -> dict[str, Any]:
        """Ask whether it has not fired until ``step``."""
        whole = f"{step * self.step:.0f}s:{self.step:.0f}s"
        return self._ask(f"count_over_time(count(ALERTS{{{self._selector}}})[{whole}]) or vector(0)", step, 0)

    def _ask(self, expression: str, step: int, value: float) -> dict[str, Any]:
        when = f"{step * self.step:.0f}s"
        return {"expr": expression, "eval_time": when, "exp_samples": [{"labels": "{}", "value": value}]}


def labels_of(alert: Alert) -> Iterator[str]:
    """Yield the labels that an alert's texts show, which its expression must keep."""
    either = {"gpu", "device", "Hostname", "instance", "integration"}  # one or the other, by whose metric it is
    for label in dict.fromkeys(_LABEL.findall(alert.summary + alert.description + "".join(alert.labels.values()))):
        if not (label in either and alert.name in ("GpuMemoryFull", "AlertDeliveryFailing")):
            yield label


def run(folder: Path, name: str, groups: Sequence[Group], step: str, tests: Sequence[Mapping[str, Any]]) -> None:
    """Run unit tests of rules.

    Raises:
        AssertionError: promtool found one that fails, and says which.
    """
    (folder / "rules.yaml").write_text(yaml.safe_dump(rule_file(groups, PROMISED.runbooks)))
    content = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": step,
        "group_eval_order": [group.name for group in groups],
        "tests": list(tests),
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False, width=10**6))
    done = subprocess.run(["promtool", "test", "rules", str(path)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{name}\n{done.stdout}{done.stderr}"
