"""What `switchyard status --slo` makes of Prometheus' responses."""

from collections.abc import Callable

import pytest

from switchyard.cli.table import table
from switchyard.local.errors import LocalError
from switchyard.local.observability import slos
from switchyard.local.observability.slos import Objective, Report
from tests.switchyard.local.observability.conftest import Pages

SAMPLES = [
    ("slo:attainment:30d", "0.985", {"slo": "model-availability", "model": "chat"}),
    ("slo:budget_left:30d", "-0.5", {"slo": "model-availability", "model": "chat"}),
    ("slo:burn_rate:5m", "20", {"slo": "model-availability", "model": "chat", "objective": "0.99"}),
    ("slo:burn_rate:1h", "1.5", {"slo": "model-availability", "model": "chat", "objective": "0.99"}),
    ("slo:burn_rate:1h", "0", {"slo": "tenant-availability", "tenant": "acme", "objective": "0.99"}),
    ("slo:objective:ratio", "0.99", {"slo": "model-availability"}),
]
ALERT: dict[str, object] = {
    "labels": {"alertname": "ModelAvailabilityBurn", "severity": "page", "model": "chat"},
    "annotations": {"summary": "Model chat: requests fail"},
    "state": "firing",
    "activeAt": "2026-01-01T00:00:00Z",
}
WATCHDOG = ALERT | {"labels": {"alertname": "Watchdog", "severity": "none"}}


def pages(*samples: tuple[str, str, dict[str, str]], alerts: list[object]) -> Pages:
    rows = [{"metric": labels | {"__name__": name}, "value": [0, value]} for name, value, labels in samples]
    return {
        "/api/v1/query?": {"status": "success", "data": {"result": rows}},
        "/api/v1/alerts": {"status": "success", "data": {"alerts": alerts}},
    }


@pytest.fixture
def report(serve: Callable[[Pages], str]) -> Report:
    return slos.read(serve(pages(*SAMPLES, alerts=[ALERT, WATCHDOG])))


def test_an_objective_is_what_its_records_say_by_model_and_by_tenant(report: Report) -> None:
    assert report.objectives == (
        Objective(
            slo="model-availability",
            subject="chat",
            promised=0.99,
            attained=0.985,
            budget_left=-0.5,
            burn_5m=20.0,
            burn_1h=1.5,
        ),
        Objective(slo="tenant-availability", subject="acme", promised=0.99, burn_1h=0.0),
    )


def test_the_table_says_ratios_in_percent_and_how_many_times_too_fast_the_budget_burns(report: Report) -> None:
    header, model, tenant = table(slos.rows(report))
    assert header.split("  ")[0] == "objective"
    assert model.split() == ["model-availability", "chat", "99", "%", "98.5", "%", "-50", "%", "20x", "1.5x"]
    assert tenant.split() == ["tenant-availability", "acme", "99", "%", "0x"]


def test_alerts_are_said_in_a_line_each_but_for_the_one_that_always_fires(report: Report) -> None:
    (line,) = slos.sentences(report)
    assert line == "firing ModelAvailabilityBurn (page), pending since 2026-01-01T00:00:00Z: Model chat: requests fail"


def test_alerts_that_are_pending_say_so_once(serve: Callable[[Pages], str]) -> None:
    (line,) = slos.sentences(slos.read(serve(pages(alerts=[ALERT | {"state": "pending"}]))))
    assert line == "pending ModelAvailabilityBurn (page) since 2026-01-01T00:00:00Z: Model chat: requests fail"


def test_figures_that_are_missing_are_explained(report: Report) -> None:
    assert "five minutes" in slos.missing(Report(objectives=(), alerts=()))[0]
    assert "five minutes" in slos.missing(report)[0]  # the tenant's has no attainment yet
    assert slos.missing(Report(objectives=report.objectives[:1], alerts=())) == []


def test_programs_get_the_same(report: Report) -> None:
    content = report.as_json()
    assert content["objectives"][0]["budget_left"] == -0.5
    assert content["alerts"][0]["labels"] == {"model": "chat"}


def test_a_prometheus_that_does_not_respond_is_an_error(serve: Callable[[Pages], str]) -> None:
    with pytest.raises(LocalError, match="does not respond"):
        slos.read("http://127.0.0.1:1")
