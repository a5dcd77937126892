"""Metrics of local mode from a model's first moment to its last."""

from prometheus_client import CollectorRegistry, generate_latest

from switchyard.telemetry.metrics.local import LocalMetrics


def test_a_model_has_its_failures_at_0_and_the_wait_of_its_oldest_request_at_the_time_of_a_scrape() -> None:
    registry = CollectorRegistry()
    waits = [0.0]
    LocalMetrics(registry).follow("chat", lambda: waits[-1])
    of_model = {"model": "chat"}

    assert registry.get_sample_value("local_oldest_held_seconds", of_model) == 0
    waits.append(2.5)
    assert registry.get_sample_value("local_oldest_held_seconds", of_model) == 2.5
    assert registry.get_sample_value("local_start_failures_total", of_model) == 0
    for reason in ("crash", "killed"):
        assert registry.get_sample_value("local_replica_exits_total", {**of_model, "reason": reason}) == 0


def test_a_model_that_is_served_no_more_has_no_series() -> None:
    registry = CollectorRegistry()
    metrics = LocalMetrics(registry)
    metrics.follow("chat", lambda: 0.0)
    metrics.follow("chat-fast", lambda: 0.0)
    metrics.forget("chat")

    page = generate_latest(registry).decode()
    assert 'model="chat-fast"' in page
    assert 'model="chat"' not in page
