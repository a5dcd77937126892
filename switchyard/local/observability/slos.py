"""The state of every objective, as the Prometheus of a run has recorded it: ``switchyard status --slo``."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from switchyard.local.observability import queries

_COLUMNS = ("objective", "of", "promised", "attained", "budget left", "burn 5m", "burn 1h")
# The rules' records, and the attributes of ``Objective`` that they are.
_RECORDS = {
    "slo:objective:ratio": "promised",
    "slo:attainment:30d": "attained",
    "slo:budget_left:30d": "budget_left",
    "slo:burn_rate:5m": "burn_5m",
    "slo:burn_rate:1h": "burn_1h",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """One objective of a model or a tenant; numbers are ratios, None without requests.

    A ``burn`` of 1 uses up the budget of 30 days in 30 days.
    """

    slo: str
    subject: str
    promised: float | None = None
    attained: float | None = None
    budget_left: float | None = None
    burn_5m: float | None = None
    burn_1h: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alert that is pending or firing, with its labels but for its name and severity."""

    name: str
    state: str
    severity: str
    since: str
    summary: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Every objective that has had requests, and every alert that is not at rest."""

    objectives: tuple[Objective, ...]
    alerts: tuple[Alert, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "objectives": [asdict(objective) for objective in self.objectives],
            "alerts": [{**asdict(alert), "labels": dict(alert.labels)} for alert in self.alerts],
        }


def read(prometheus: str) -> Report:
    """Ask the Prometheus at the URL ``prometheus``.

    Raises:
        LocalError: it does not respond.
    """
    wanted = "|".join(_RECORDS)
    found = queries.get(f"{prometheus}/api/v1/query", {"query": f'{{__name__=~"{wanted}"}}'})
    alerts = queries.get(f"{prometheus}/api/v1/alerts")
    return Report(objectives=_objectives(found["data"]["result"]), alerts=_alerts(alerts["data"]["alerts"]))


def _objectives(rows: Iterable[Mapping[str, Any]]) -> tuple[Objective, ...]:
    values: dict[tuple[str, str], dict[str, float]] = {}
    for row in rows:
        labels = row["metric"]
        subject = labels.get("model") or labels.get("tenant")
        if subject is None:  # the objective by itself
            continue
        record = _RECORDS[labels["__name__"]]
        values.setdefault((labels["slo"], subject), {})[record] = float(row["value"][1])
        if "objective" in labels:
            values[labels["slo"], subject]["promised"] = float(labels["objective"])
    return tuple(Objective(slo=slo, subject=subject, **found) for (slo, subject), found in sorted(values.items()))


def _alerts(rows: Iterable[Mapping[str, Any]]) -> tuple[Alert, ...]:
    alerts = [
        Alert(
            name=row["labels"]["alertname"],
            state=row["state"],
            severity=row["labels"].get("severity", ""),
            since=row["activeAt"],
            summary=row["annotations"].get("summary", ""),
            labels={key: value for key, value in row["labels"].items() if key not in ("alertname", "severity")},
        )
        for row in rows
        # It always fires, so that its absence tells of a broken chain.
        if row["labels"]["alertname"] != "Watchdog"
    ]
    return tuple(sorted(alerts, key=lambda alert: (alert.state, alert.severity, alert.name)))


def rows(report: Report) -> list[tuple[str, ...]]:
    """Return the cells of a table of the objectives; the first row is the header."""
    return [_COLUMNS, *map(_cells, report.objectives)]


def _cells(one: Objective) -> tuple[str, ...]:
    ratios = (one.promised, one.attained, one.budget_left)
    burns = (one.burn_5m, one.burn_1h)
    return (one.slo, one.subject, *(_percent(value) for value in ratios), *(_times(value) for value in burns))


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.4g} %"


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}x"


def sentences(report: Report) -> list[str]:
    """Return a line for each alert; Prometheus says of all of them since when they have been pending."""
    return [f"{_state(alert)} since {alert.since}: {alert.summary}" for alert in report.alerts]


def _state(alert: Alert) -> str:
    said = f"{alert.state} {alert.name} ({alert.severity})"
    return said if alert.state == "pending" else f"{said}, pending"


def missing(report: Report) -> list[str]:
    """Return a line that says why figures are missing; none if none is."""
    if report.objectives and all(one.attained is not None for one in report.objectives):
        return []
    return ["objectives are read from windows of five minutes and longer: new requests are in them by then"]
