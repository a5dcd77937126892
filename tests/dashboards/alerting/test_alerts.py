"""Every alert fires when it should, and only then: unit tests that promtool runs, written from tables of scenarios."""

from pathlib import Path

import pytest

from tests.dashboards.alerting.burns import BURNS
from tests.dashboards.alerting.kinds import KINDS
from tests.dashboards.alerting.promtool import ALERTS, Scenario, Sheet, rules, run
from tests.dashboards.alerting.scenarios import SCENARIOS
from tests.dashboards.alerting.scenarios_below import FULL_DESCRIPTORS

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


def test_a_store_that_stays_away_is_an_alert_until_it_is_back(tmp_path: Path) -> None:
    (scenario,) = [one for one in SCENARIOS if one.alert == "DownloadsFailing"]
    sheet = Sheet(scenario)
    sheet.add(
        "away for a day", [("good", 5), ("bad", 1440), ("good", 2)], sheet.fires(1444), sheet.fires(1446, is_so=False)
    )
    run(tmp_path, scenario.name, rules(scenario), scenario.step, sheet.tests)


def test_descriptors_that_are_used_up_are_an_alert_also_while_their_process_cannot_be_read(tmp_path: Path) -> None:
    scenario = FULL_DESCRIPTORS
    sheet = Sheet(scenario)
    sheet.add("cannot be read", [("bad", 10), ("idle", 10), ("good", 2)], sheet.fires(19), sheet.fires(21, is_so=False))
    sheet.add("is gone", [("bad", 10), ("gone", 2)], sheet.fires(11, is_so=False))
    run(tmp_path, scenario.name, rules(scenario), scenario.step, sheet.tests)


def test_alerts_lost_or_messages_failed_once_are_no_page(tmp_path: Path) -> None:
    for number, scenario in enumerate(one for one in SCENARIOS if one.alert == "AlertDeliveryFailing"):
        sheet = Sheet(scenario)
        sheet.add("once", [("good", 20), ("bad", 1), ("good", 30)], sheet.never(50))
        run(tmp_path, f"once-{number}", rules(scenario), scenario.step, sheet.tests)
