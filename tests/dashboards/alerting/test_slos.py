"""The file of SLOs: what it may say, what comes of exceptions, and how soon an outage is a page."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from dashboards.__main__ import main
from dashboards.alerting import burn, slos
from dashboards.alerting.rules import Group, Record, rule_file
from switchyard.telemetry.metrics.gateway import GatewayMetrics
from tests.dashboards.alerting.promtool import GROUPS, PROMISED, Counter, Scenario, Sheet, rules, run
from tests.dashboards.alerting.test_rules import check

SHIPPED: dict[str, Any] = yaml.safe_load(slos.FILE.read_text(encoding="utf-8"))


def changed(tmp_path: Path, path: str, value: Any) -> Path:
    content = deepcopy(SHIPPED)
    *parents, last = path.split(".")
    found = content
    for name in parents:
        found = found[name]
    found[last] = value
    file = tmp_path / "slos.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("models.first_token.seconds", 2.0, "2 s is no edge of the histogram: .* 1, 2.5, 5"),
        ("models.exceptions", {"ocr": {"first_token": {"seconds": 3}}}, "models.exceptions.ocr.first_token: 3 s is no"),
        ("models.first_token.factors", {}, "window acute would need 100% bad requests and never fires"),
        ("models.availability.objective", 0.9, "models.availability: window acute would need 200% bad requests"),
        (
            "tenants.exceptions",
            {"a": {"availability": {"objective": 0.5}}},
            "tenants.exceptions.a.availability: window",
        ),
        ("models.availability.seconds", 1.0, "has seconds if it is one of latency"),
        ("models.first_token.seconds", None, "has seconds if it is one of latency"),
        ("models.availability.factors", {"sharp": 3}, "there is no window sharp"),
        ("models.availability.objective", 1, "less than 1"),
        ("models.exceptions", {'a"}) or (up': {}}, "String should match pattern"),
        ("tenants.exceptions", {"a": {"inter_token": {"objective": 0.9}}}, "promised of models only"),
        ("models.unheard_of", 1, "Extra inputs are not permitted"),
    ],
)
def test_what_could_never_be_measured_or_alerted_is_an_error(
    tmp_path: Path, path: str, value: Any, message: str
) -> None:
    with pytest.raises(slos.SloError, match=message) as caught:
        slos.read(changed(tmp_path, path, value))
    assert str(caught.value).startswith(f"{tmp_path / 'slos.yaml'}: {path.partition('.')[0]}")


def test_the_generator_says_in_a_sentence_what_is_wrong_with_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = changed(tmp_path, "models.first_token.seconds", 7.0)
    read = slos.read
    monkeypatch.setattr(slos, "read", lambda: read(file))
    monkeypatch.setattr("sys.argv", ["dashboards", "--check"])
    assert main() == 1
    said = capsys.readouterr().err
    assert said.startswith(f"{file}: models.first_token: 7 s is no edge of the histogram: ")
    assert len(said.splitlines()) == 1


def test_every_window_of_every_slo_can_fire() -> None:
    for sli in burn.SLIS:
        for target in burn.targets(PROMISED, sli):
            for name, window in PROMISED.windows.items():
                assert slos.factor(target.objective, name, window) * target.objective.budget < 1


def test_thresholds_are_edges_as_the_client_prints_them() -> None:
    registry = CollectorRegistry()
    held = GatewayMetrics(registry)
    held.calls.first_token.labels("a")
    held.calls.per_output_token.labels("a")
    held.tenants.first_token.labels("a")
    exposed = generate_latest(registry).decode()
    for sli in burn.SLIS:
        for target in burn.targets(PROMISED, sli):
            if target.objective.threshold:
                assert f'{sli.family}_bucket{{{sli.label}="a",le="{target.objective.threshold}"}}' in exposed or (
                    f'{sli.family}_bucket{{le="{target.objective.threshold}",{sli.label}="a"}}' in exposed
                )


EXCEPTIONS = {
    "ocr-page.v2": {"first_token": {"seconds": 10.0}, "availability": {"objective": 0.98}},
    "draft": {"first_token": {"seconds": 10.0}},
    "same": {"availability": {"objective": 0.99}},
}


def test_an_exception_has_its_own_numbers_and_is_not_in_the_default(tmp_path: Path) -> None:
    promised = slos.read(changed(tmp_path, "models.exceptions", EXCEPTIONS))
    found = {sli.slo: [(one.matcher, one.objective) for one in burn.targets(promised, sli)] for sli in burn.SLIS}
    (default, _), (slow, objective) = found["model-first-token"]
    assert default == r'model!~"draft|ocr\\-page\\.v2|unknown"'
    assert (slow, objective.threshold, objective.objective) == (r'model=~"draft|ocr\\-page\\.v2"', "10.0", 0.95)
    assert [matcher for matcher, _ in found["model-availability"]] == [
        r'model!~"ocr\\-page\\.v2|unknown"',
        r'model=~"ocr\\-page\\.v2"',
    ]
    assert [matcher for matcher, _ in found["model-inter-token"]] == ['model!="unknown"']
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(rule_file(burn.groups(promised), promised.runbooks)))
    check(path)


def test_alerts_are_as_many_with_exceptions_as_without(tmp_path: Path) -> None:
    promised = slos.read(changed(tmp_path, "models.exceptions", EXCEPTIONS))
    before, after = (sum(len(group.alerts) for group in burn.groups(one)) for one in (PROMISED, promised))
    assert after == before == 25


def acute(series: dict[str, Any]) -> Scenario:
    names = frozenset({"slo:requests:5m", "slo:burn_rate:5m", "slo:burn_rate:1m"})
    return Scenario(
        alert="ModelAvailabilityBurn",
        severity="page",
        window="acute",
        step="15s",
        series=series,
        within=5,
        clears=6,
        records=names,
    )


OK = 'gateway_model_requests_total{namespace="prod",model="one",outcome="ok"}'
FAILED = 'gateway_model_requests_total{namespace="prod",model="one",outcome="failed"}'


def test_an_outage_of_all_requests_is_a_page_within_two_minutes(tmp_path: Path) -> None:
    # The worst case: the fault comes just after a scrape (15 s), and rules are evaluated just before one (15 s).
    sheet = Sheet(acute({OK: Counter(good=30), FAILED: Counter(bad=30)}))
    seconds = 15 + 5 * 15 + 15 + 5  # and Alertmanager's group_wait
    assert seconds <= 120
    sheet.add("outage", [("good", 40), ("bad", 10)], sheet.never(39), sheet.fires(40 + 5))
    run(tmp_path, "outage", rules(sheet.scenario), "15s", sheet.tests)


def test_a_few_failures_of_few_requests_are_no_page(tmp_path: Path) -> None:
    sheet = Sheet(acute({FAILED: Counter(bad=0.9)}))  # 18 in five minutes, all of them failures
    sheet.add("few", [("good", 1), ("bad", 60)], sheet.never(60))
    run(tmp_path, "few", rules(sheet.scenario), "15s", sheet.tests)


def test_what_is_left_of_the_budget_is_of_requests_not_of_time(tmp_path: Path) -> None:
    kept = [
        rule
        for group in burn.groups(PROMISED)
        for rule in group.rules
        if isinstance(rule, Record) and rule.labels["slo"] == "model-availability"
    ]
    groups = [Group(name="all", interval="5m", rules=kept)]
    series = {OK: Counter(good=10000, bad=0), FAILED: Counter(good=0, bad=10)}
    sheet = Sheet(acute(series))
    sheet.step = 300
    # 90 000 good requests, then 100 failures in as long: a thousandth of all, and so a tenth of the budget.
    sheet.add("budget", [("good", 10), ("bad", 10)])
    (test,) = sheet.tests
    test["interval"] = "5m"
    label = '{namespace="prod", model="one", slo="model-availability", objective="0.99"}'
    test["promql_expr_test"] = [
        {
            "expr": "round(slo:budget_left:30d, 0.01)",
            "eval_time": "95m",
            "exp_samples": [{"labels": label, "value": 0.89}],
        },
        {
            "expr": "round(slo:attainment:30d, 0.001)",
            "eval_time": "95m",
            "exp_samples": [{"labels": label, "value": 0.999}],
        },
    ]
    run(tmp_path, "budget", groups, "5m", sheet.tests)


def test_the_page_says_how_many_series_are_recorded() -> None:
    recorded = [rule for group in burn.groups(PROMISED) for rule in group.rules if isinstance(rule, Record)]
    of_all = [rule for rule in recorded if rule.name != "slo:objective:ratio"]
    models, tenants = (sum(rule.labels["slo"].startswith(who) for rule in of_all) for who in ("model", "tenant"))
    page = (slos.FILE.parents[1] / "docs/how-to/set-an-slo.md").read_text(encoding="utf-8")
    assert f"records {models} series for each model and {tenants} for each tenant" in page
    assert f"{(models + tenants) * 1000:,} with a thousand" in page


def test_the_page_says_how_many_series_are_recorded_of_a_model_and_of_a_tenant() -> None:
    page = (slos.FILE.parents[1] / "docs/how-to/set-an-slo.md").read_text(encoding="utf-8")
    records = [rule for group in GROUPS for rule in group.rules if isinstance(rule, Record) and rule.labels]
    of = [rule.labels["slo"].partition("-")[0] for rule in records if rule.name != "slo:objective:ratio"]

    assert f"records {of.count('model')} series for each model and {of.count('tenant')} for each tenant" in page
