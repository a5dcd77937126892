"""What counts failures is exposed before the first one: a rate needs the value before it."""

import pytest
from prometheus_client import CollectorRegistry

from switchyard.gateway.meter import Meter
from switchyard.telemetry.metrics.gateway import GatewayMetrics


@pytest.mark.parametrize(
    ("name", "label", "value"),
    [("gateway_store_errors_total", "operation", "settle"), ("gateway_webhook_attempts_total", "outcome", "failed")],
)
def test_each_value_of_a_short_list_is_there_from_the_start(name: str, label: str, value: str) -> None:
    registry = CollectorRegistry()
    Meter(GatewayMetrics(registry))

    assert registry.get_sample_value(name, {label: value}) == 0


@pytest.mark.parametrize(
    "name", ["gateway_cancelled_total", "gateway_upstream_retries_total", "gateway_heartbeats_total"]
)
def test_what_counts_a_models_troubles_is_there_from_its_first_call(name: str) -> None:
    registry = CollectorRegistry()
    meter = Meter(GatewayMetrics(registry))
    assert registry.get_sample_value(name, {"model": "chat-fast"}) is None

    meter.done("chat-fast", "/v1/chat/completions", 200, "ok", 0.1)

    assert registry.get_sample_value(name, {"model": "chat-fast"}) == 0
