"""Every alert fires when it should, and only then: unit tests that promtool runs, written from tables of scenarios."""

from pathlib import Path

import pytest

from tests.dashboards.alerting.burns import BURNS
from tests.dashboards.alerting.kinds import KINDS
from tests.dashboards.alerting.promtool import ALERTS, Scenario, Sheet, rules, run
from tests.dashboards.alerting.scenarios import SCENARIOS

ALL = [*SCENARIOS, *BURNS]
WITHOUT = {"Watchdog": "it fires always: a test of its own says so"}


@pytest.mark.parametrize("scenario", ALL, ids=lambda one: one.name)
def test_an_alert_holds_to_its_scenario(scenario: Scenario, tmp_path: Path) -> None:
    sheet = Sheet(scenario)
    for kind in KINDS:
        kind(sheet)
    run(tmp_path, scenario.name, rules(scenario), scenario.step, sheet.tests)


def test_every_alert_has_a_scenario() -> None:
    alerts = {(one.name, one.severity, one.labels.get("window", "")) for one in ALERTS if one.name not in WITHOUT}
    assert {(one.alert, one.severity, one.window) for one in ALL} == alerts


def test_the_watchdog_fires_always(tmp_path: Path) -> None:
    scenario = Scenario(alert="Watchdog", severity="none", series={}, within=1, clears=1)
    sheet = Sheet(scenario)
    sheet.add("always", [("gone", 10)], sheet.fires(0), sheet.fires(9))
    run(tmp_path, "Watchdog", rules(scenario), scenario.step, sheet.tests)
