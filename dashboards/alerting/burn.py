"""Turns SLOs into recorded burn rates and the alerts that compare them.

A burn rate is the part of bad requests divided by the budget for them: 1 uses it up in just 30 days. The method, its
windows and factors are those of the Site Reliability Workbook, chapter 5; the ``acute`` window is ours.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dashboards.alerting.rules import Alert, Group, Record
from dashboards.alerting.slos import Change, Objective, Slos, Window, changed, factor

RAW = ("1m", "5m", "30m", "1h")  # from the counters; longer ones from tiles, as those are few samples
TILED = ("2h", "6h", "1d", "3d", "30d")
FAST = ("1m", "5m")
TILE = "5m"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sli:
    """What is counted of requests: all that matter, and the bad ones of them."""

    slo: str
    alert: str
    label: str  # of whom it is promised: model or tenant
    kind: str
    family: str
    what: str

    def all(self, function: str, matcher: str, window: str) -> str:
        """Return how many requests matter."""
        if self.kind == "availability":
            return self._sum(function, self.family + "_total", f'outcome=~"ok|failed",{matcher}', window)
        return self._sum(function, self.family + "_count", matcher, window)

    def bad(self, function: str, matcher: str, window: str, threshold: str) -> str:
        """Return how many of them are bad, 0 if none is."""
        if self.kind == "availability":
            failed = self._sum(function, self.family + "_total", f'outcome="failed",{matcher}', window)
            # What never failed has no such series: its part is 0, and not unknown.
            return f"({failed} or 0 * {self.all(function, matcher, window)})"
        good = self._sum(function, self.family + "_bucket", f'le="{threshold}",{matcher}', window)
        return f"({self.all(function, matcher, window)} - {good})"

    def _sum(self, function: str, name: str, matcher: str, window: str) -> str:
        return f"sum by (namespace, {self.label}) ({function}({name}{{{matcher}}}[{window}]))"


SLIS = (
    Sli(
        slo="model-availability",
        alert="ModelAvailabilityBurn",
        label="model",
        kind="availability",
        family="gateway_model_requests",
        what="requests fail",
    ),
    Sli(
        slo="model-first-token",
        alert="ModelFirstTokenBurn",
        label="model",
        kind="first_token",
        family="gateway_first_token_seconds",
        what="streams begin late",
    ),
    Sli(
        slo="model-inter-token",
        alert="ModelInterTokenBurn",
        label="model",
        kind="inter_token",
        family="gateway_time_per_output_token_seconds",
        what="streams are slow",
    ),
    Sli(
        slo="tenant-availability",
        alert="TenantAvailabilityBurn",
        label="tenant",
        kind="availability",
        family="gateway_tenant_requests",
        what="requests fail",
    ),
    Sli(
        slo="tenant-first-token",
        alert="TenantFirstTokenBurn",
        label="tenant",
        kind="first_token",
        family="gateway_tenant_first_token_seconds",
        what="streams begin late",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Those of whom the same is promised; ``matcher`` finds them."""

    objective: Objective
    matcher: str


def targets(slos: Slos, sli: Sli) -> Iterator[Target]:
    """Yield whom an SLO promises what: those with the default, and those with each exception's numbers."""
    group = slos.models if sli.label == "model" else slos.tenants
    default: Objective = getattr(group, sli.kind)
    by_promise: dict[tuple[str, str], tuple[Objective, list[str]]] = {}
    for name, exception in group.exceptions.items():
        change: Change | None = getattr(exception, sli.kind)
        own = changed(default, change)
        if own != default:
            by_promise.setdefault((str(own.objective), own.threshold), (own, []))[1].append(name)
    # Names that no model has count together as `unknown`, and nothing is promised of those.
    others = ["unknown" if sli.label == "model" else ""]
    others += [name for _, names in by_promise.values() for name in names]
    yield Target(
        objective=default, matcher=f'{sli.label}!~"{_any(others)}"' if others[1:] else f'{sli.label}!="{others[0]}"'
    )
    for own, names in by_promise.values():
        yield Target(objective=own, matcher=f'{sli.label}=~"{_any(names)}"')


def _any(names: Sequence[str]) -> str:
    return "|".join(re.escape(name).replace("\\", "\\\\") for name in sorted(names))


def groups(slos: Slos) -> list[Group]:
    """Return the rules of all SLOs."""
    each = [(sli, target) for sli in SLIS for target in targets(slos, sli)]
    fast = [rule for sli, target in each for window in FAST for rule in _raw(sli, target, window)]
    hours = [rule for sli, target in each for window in RAW if window not in FAST for rule in _raw(sli, target, window)]
    tiles = [rule for sli, target in each for rule in _tiles(sli, target)]
    slow = [rule for sli, target in each for window in TILED for rule in _tiled(sli, target, window)]
    whole = [rule for sli, target in each for rule in _whole(sli, target)]
    alerts = {name: [_alert(slos, sli, name, window) for sli in SLIS] for name, window in slos.windows.items()}
    by_group: dict[str, list[Alert]] = {"fast": [], "hours": [], "slow": []}
    for name, window in slos.windows.items():
        group = "fast" if window.long in FAST else "hours" if window.long in RAW else "slow"
        by_group[group] += alerts[name]
    return [
        Group(name="slo-fast", interval="15s", rules=[*fast, *by_group["fast"]]),
        Group(name="slo-hours", interval="1m", rules=[*hours, *by_group["hours"]]),
        # As long as a tile, so that each request is in just one.
        Group(name="slo-tiles", interval=TILE, rules=tiles),
        # Shorter than the 5 minutes for which Prometheus takes a value as the present one.
        Group(name="slo-slow", interval="2m", rules=[*slow, *whole, *by_group["slow"]]),
    ]


def _labels(sli: Sli, target: Target) -> dict[str, str]:
    threshold = {"threshold": target.objective.threshold} if target.objective.threshold else {}
    return {"slo": sli.slo, "objective": str(target.objective.objective), **threshold}


def _selector(sli: Sli, target: Target) -> str:
    return ",".join(f'{name}="{value}"' for name, value in _labels(sli, target).items())


def _raw(sli: Sli, target: Target, window: str) -> Iterator[Record]:
    labels, matcher, objective = _labels(sli, target), target.matcher, target.objective
    bad = sli.bad("rate", matcher, window, objective.threshold)
    burn = f"{bad} / ({sli.all('rate', matcher, window)} > 0) / {objective.budget:g}"
    yield Record(name=f"slo:burn_rate:{window}", expression=burn, labels=labels)
    if window in ("5m", "1h"):
        requests = sli.all("increase", matcher, window)
        yield Record(name=f"slo:requests:{window}", expression=requests, labels=labels)


def _tiles(sli: Sli, target: Target) -> Iterator[Record]:
    labels, matcher = _labels(sli, target), target.matcher
    bad = sli.bad("increase", matcher, TILE, target.objective.threshold)
    yield Record(name="slo:requests:tile", expression=sli.all("increase", matcher, TILE), labels=labels)
    yield Record(name="slo:bad:tile", expression=bad, labels=labels)


def _tiled(sli: Sli, target: Target, window: str) -> Iterator[Record]:
    labels, selector = _labels(sli, target), _selector(sli, target)
    requests = f"sum_over_time(slo:requests:tile{{{selector}}}[{window}])"
    bad = f"sum_over_time(slo:bad:tile{{{selector}}}[{window}])"
    yield Record(
        name=f"slo:burn_rate:{window}",
        expression=f"{bad} / ({requests} > 0) / {target.objective.budget:g}",
        labels=labels,
    )
    if window in ("6h", "1d", "3d", "30d"):
        yield Record(name=f"slo:requests:{window}", expression=requests, labels=labels)


def _whole(sli: Sli, target: Target) -> Iterator[Record]:
    labels, selector = _labels(sli, target), _selector(sli, target)
    used = f"slo:burn_rate:30d{{{selector}}}"
    yield Record(name="slo:objective:ratio", expression=f"vector({target.objective.objective:g})", labels=labels)
    yield Record(name="slo:attainment:30d", expression=f"1 - {used} * {target.objective.budget:g}", labels=labels)
    yield Record(name="slo:budget_left:30d", expression=f"1 - {used}", labels=labels)


def _alert(slos: Slos, sli: Sli, name: str, window: Window) -> Alert:
    group = slos.models if sli.label == "model" else slos.tenants
    default: Objective = getattr(group, sli.kind)
    times = factor(default, name, window)
    of = f'{{slo="{sli.slo}"}}'
    expression = (
        f"slo:burn_rate:{window.long}{of} > {times:g} and slo:burn_rate:{window.short}{of} > {times:g} "
        f"and slo:requests:{window.long}{of} >= {slos.minimum_requests}"
    )
    subject = f"{{{{ $labels.{sli.label} }}}}"
    within = "" if sli.kind == "availability" else " within {{ $labels.threshold }} s"
    return Alert(
        name=sli.alert,
        severity=window.severity,
        kind="symptom",
        expression=expression,
        means=f"{sli.what}: the budget burns {times:g} times too fast, over {window.long} and over {window.short}, of "
        f"at least {slos.minimum_requests} requests",
        summary=f"{sli.label.capitalize()} {subject}: {sli.what}",
        description=f"For {window.long} the budget of {sli.slo} has burned {{{{ $value | humanize }}}} times too fast: "
        f"{{{{ $labels.objective }}}} of requests should be good{within}. Namespace {{{{ $labels.namespace }}}}.",
        labels={"window": name},
    )
