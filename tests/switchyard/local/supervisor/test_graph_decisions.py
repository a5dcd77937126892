from prometheus_client import CollectorRegistry, generate_latest

from switchyard.local.supervisor.graph_decisions import sentence, summary
from switchyard.telemetry.metrics.routing import RoutingMetrics


def test_decisions_are_counted_by_tier_and_by_reason() -> None:
    registry = CollectorRegistry()
    metrics = RoutingMetrics(registry)
    metrics.decisions.labels("fast", "classifier").inc(3)
    metrics.decisions.labels("reasoning", "classifier").inc()
    metrics.decisions.labels("reasoning", "affinity").inc()
    metrics.share.set(0.4)
    metrics.target.set(0.35)

    row = summary(generate_latest(registry).decode())

    assert row == {
        "tiers": {"fast": 3, "reasoning": 2},
        "reasons": {"classifier": 4, "affinity": 1},
        "share": 0.4,
        "target": 0.35,
    }
    assert sentence(row) == ("fast 3, reasoning 2 (affinity 1, classifier 4); reasoning share 0.40, target 0.35")


def test_a_step_that_has_not_decided_says_so() -> None:
    registry = CollectorRegistry()
    RoutingMetrics(registry)

    assert sentence(summary(generate_latest(registry).decode())) == "has decided nothing yet"


def test_a_page_without_decisions_is_no_steps() -> None:
    assert summary("") == summary("python_info 1\n") == {}
