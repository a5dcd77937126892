"""Rules as Prometheus and its linters want them: each names what is wrong, where to read on, and metrics that exist."""

import importlib.util
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from dashboards.alerting import files
from dashboards.alerting.rules import Clock, Record, rule_file
from dashboards.promql import metric_names
from tests.dashboards.alerting.promtool import ALERTS, GROUPS, PROMISED, labels_of
from tests.dashboards.families import known

ROOT = Path(__file__).parents[3]
RECORDED = {rule.name for group in GROUPS for rule in group.rules if isinstance(rule, Record)}
RULES = [rule for group in GROUPS for rule in group.rules]
ABSENCE = {"NoGatewayResponds"}


def check(path: Path) -> None:
    done = subprocess.run(
        ["promtool", "check", "rules", "--lint=all", "--lint-fatal", str(path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", sorted((ROOT / files.RULES).glob("*.yaml")), ids=lambda path: path.stem)
def test_a_file_of_rules_is_one_and_so_is_its_object(path: Path, tmp_path: Path) -> None:
    check(path)
    made = yaml.safe_load((ROOT / files.OBJECTS / path.name).read_text(encoding="utf-8"))
    assert made["spec"] == yaml.safe_load(path.read_text(encoding="utf-8"))


def test_rules_by_a_faster_clock_are_valid_too(tmp_path: Path) -> None:
    path = tmp_path / "fast.yaml"
    path.write_text(yaml.safe_dump(rule_file(GROUPS, PROMISED.runbooks, Clock(speed=60))))
    check(path)
    text = path.read_text()
    assert "[5m]" not in text
    assert "[5000ms]" in text


def test_a_clock_divides_ranges_offsets_intervals_and_what_is_compared_with() -> None:
    clock = Clock(speed=60)
    assert clock.expression("rate(a[5m]) > <2m>") == "rate(a[5000ms]) > 2"
    assert clock.expression("max_over_time(a[1h:1m] offset 1d)") == "max_over_time(a[60000ms:1000ms] offset 1440000ms)"
    assert Clock().expression("rate(a[5m] offset 1d) > <2m>") == "rate(a[5m] offset 1d) > 120"


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: f"{alert.name}-{alert.severity}")
def test_an_alert_says_what_is_wrong_and_where_to_read_on(alert: Any) -> None:
    assert alert.severity in ("page", "ticket", "none")
    assert alert.summary
    assert not alert.summary.endswith(".")
    assert alert.description.endswith(".")
    assert (ROOT / PROMISED.runbooks / f"{alert.name}.md").exists()


def test_texts_name_the_model_or_tenant_where_there_is_one() -> None:
    for alert in ALERTS:
        for label in ("model", "tenant"):
            if f"by (namespace, {label}" in alert.expression or f'slo="{label}' in alert.expression:
                shown = list(labels_of(alert))
                assert label in shown or f"{label}_name" in shown, alert.name


# Of the page `user_guide/metrics` of Triton's documentation; its counters have no `_total`.
TRITON = ("nv_inference_queue_duration_us", "nv_inference_request_success", "nv_inference_request_failure")


def kinds() -> Mapping[str, str]:
    """Return what exists, with its type: also of engines, as nothing else here runs them."""
    spec = importlib.util.find_spec("vllm")
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).with_name("v1") / "metrics" / "loggers.py"
    vllm = re.findall(r'name="(vllm:\w+)"', source.read_text(encoding="utf-8"))
    counters = {f"{name}_total": "counter" for name in vllm}  # of those that are; no rule uses others by this name
    return {**known(), **dict.fromkeys(vllm, "gauge"), **counters, **dict.fromkeys(TRITON, "counter")}


def test_every_metric_of_a_rule_exists() -> None:
    clock = Clock()
    used = {name for rule in RULES for name in metric_names(clock.expression(rule.expression))}
    assert sorted(used - kinds().keys() - RECORDED) == []


def test_what_is_recorded_is_named_by_level_metric_and_window() -> None:
    assert all(name.startswith("slo:") and name.count(":") == 2 for name in RECORDED)


def calls(expression: str) -> Iterator[tuple[str, str]]:
    """Yield the functions of an expression with the series of which they are."""
    found: list[promql_parser.Call] = []

    def visit(node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.Call):
            found.append(node)
        return True

    promql_parser.walk(promql_parser.parse(expression), visit)
    for call in found:
        for argument in call.args:
            if isinstance(argument, promql_parser.MatrixSelector):
                yield call.func.name, argument.vector_selector.name or ""


def test_only_counters_have_a_rate() -> None:
    clock, exist = Clock(), kinds()
    found = [(rule.name, *call) for rule in RULES for call in calls(clock.expression(rule.expression))]
    wrong = [
        f"{rule}: {function} of {name}"
        for rule, function, name in found
        if (function in ("rate", "increase")) != (exist.get(name) in ("counter", "histogram"))
    ]
    assert wrong == []


def test_nothing_is_divided_by_what_may_be_zero() -> None:
    for rule in RULES:
        expression = rule.expression.replace(" ", "")
        for part in expression.split("/")[1:]:
            guarded = part.startswith(("(", "on(")) and ">0)" in part
            assert guarded or part[0].isdigit(), f"{rule.name}: {rule.expression}"


def test_an_alert_is_not_of_what_is_absent() -> None:
    assert {alert.name for alert in ALERTS if "absent(" in alert.expression} == ABSENCE


def test_pages_are_of_symptoms_or_of_what_all_stands_on() -> None:
    pages = {(alert.name, alert.kind) for alert in ALERTS if alert.severity == "page" and alert.kind != "symptom"}
    assert pages == {("RedisDown", "cause"), ("AlertDeliveryFailing", "monitoring")}
