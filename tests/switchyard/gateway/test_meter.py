"""Series of the gateway are bounded, whatever is served and called, and go with the model or tenant that is gone."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from prometheus_client import CollectorRegistry

from switchyard.catalog import Catalog, Kind
from switchyard.gateway.meter import CODES, KEPT_SECONDS, MODELS, OTHERS, PAIRS, TENANTS, UNKNOWN, Meter
from switchyard.gateway.routes.table import ROUTES
from switchyard.telemetry.exposition import exposition
from switchyard.telemetry.metrics.families import LATENCY_BUCKETS, Outcome
from switchyard.telemetry.metrics.gateway import TENANT_BUCKETS, TOKEN_BUCKETS, GatewayMetrics
from tests.switchyard.gateway.conftest import gateway

_REST = 3  # of a histogram beside its buckets: +Inf, the sum and the count


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Metered:
    """A meter and what it exposes."""

    def __init__(self) -> None:
        self.clock, self.registry = Clock(), CollectorRegistry()
        self.meter = Meter(GatewayMetrics(self.registry), self.clock)

    def call(self, model: str, route: str = "/v1/chat/completions", tenant: str = "acme", code: int = 200) -> None:
        """Record all that a call may leave."""
        self.meter.done(model, route, code, "ok" if code < 400 else "failed", 0.1)
        self.meter.first_byte(model, route, 0.1)
        self.meter.first_token(model, tenant, 0.1)
        self.meter.tenant_done(tenant, "ok")
        self.meter.per_output_token(model, 0.01)
        self.meter.cancelled(model)
        self.meter.retried(model)
        self.meter.heartbeat(model)
        self.meter.waiting(model, 1)
        self.meter.waiting(model, -1)
        self.meter.waited(model, 0.1)

    def series(self) -> dict[str, int]:
        """How many series each family has."""
        return {family.name: len(family.samples) for family in self.registry.collect()}

    def labels(self, label: str) -> Iterator[str]:
        for family in self.registry.collect():
            for sample in family.samples:
                if label in sample.labels:
                    yield sample.labels[label]


def _served(*names: str) -> dict[str, Kind]:
    return dict.fromkeys(names, "llm")


def test_what_is_promised_of_a_model_or_tenant_is_counted_from_0_before_its_first_call() -> None:
    one = Metered()
    one.meter.keep_models({"chat": "llm", "ocr": "vision"})
    one.meter.keep_tenants(["acme"])
    page = exposition(one.registry, None)[0].decode()
    for outcome in get_args(Outcome):
        assert f'gateway_model_requests_total{{model="chat",outcome="{outcome}"}} 0.0' in page
        assert f'gateway_model_requests_total{{model="ocr",outcome="{outcome}"}} 0.0' in page
        assert f'gateway_tenant_requests_total{{outcome="{outcome}",tenant="acme"}} 0.0' in page
    assert 'gateway_first_token_seconds_count{model="chat"} 0.0' in page
    assert 'gateway_time_per_output_token_seconds_count{model="chat"} 0.0' in page
    assert 'gateway_first_token_seconds_count{model="ocr"}' not in page


def test_more_models_and_tenants_than_have_series_begin_with_their_first_call() -> None:
    one = Metered()
    one.meter.keep_models(_served(*(f"model-{number}" for number in range(MODELS + 1))))
    one.meter.keep_tenants([f"tenant-{number}" for number in range(TENANTS + 1)])
    assert set(one.labels("model")) | set(one.labels("tenant")) == set()


def test_models_that_come_and_go_all_day_leave_nothing() -> None:
    one = Metered()
    one.call("chat")
    before = one.series()
    for day in range(5):
        names = {f"model-{day}-{number}" for number in range(100)}
        for name in names:
            one.call(name)
        one.meter.keep_models(_served("chat", *names))
        one.meter.keep_models(_served("chat"))
        one.clock.now += KEPT_SECONDS
        one.meter.keep_models(_served("chat"))
        assert one.series() == before


def test_a_model_that_is_gone_keeps_its_series_for_a_while_and_one_that_comes_back_for_good() -> None:
    one = Metered()
    one.call("chat")
    one.meter.keep_models({})
    one.clock.now += KEPT_SECONDS - 1
    one.meter.keep_models({})
    assert "chat" in set(one.labels("model"))
    one.meter.keep_models(_served("chat"))
    one.clock.now += KEPT_SECONDS
    one.meter.keep_models(None)  # a catalog that cannot be read
    one.meter.keep_models({})
    assert "chat" in set(one.labels("model"))
    one.clock.now += KEPT_SECONDS
    one.meter.keep_models({})
    assert "chat" not in set(one.labels("model"))
    one.call("chat")
    assert "chat" in set(one.labels("model"))


def test_what_names_no_model_is_never_forgotten() -> None:
    one = Metered()
    one.call(UNKNOWN)
    one.meter.keep_models({})
    one.clock.now += KEPT_SECONDS
    one.meter.keep_models({})
    assert UNKNOWN in set(one.labels("model"))


def test_a_tenant_that_is_gone_makes_room_for_another() -> None:
    one = Metered()
    for number in range(TENANTS + 5):
        one.call("chat", tenant=f"tenant-{number}")
    assert len(set(one.labels("tenant"))) == TENANTS + 1
    assert OTHERS in set(one.labels("tenant"))
    one.meter.keep_tenants({f"tenant-{number}" for number in range(5, TENANTS)})
    one.call("chat", tenant="tenant-1003")
    assert "tenant-1003" in set(one.labels("tenant"))
    assert "tenant-0" not in set(one.labels("tenant"))


def test_no_family_exceeds_its_bound() -> None:
    one, routes = Metered(), [route.label for route in ROUTES]
    for number in range(MODELS + 100):
        for offset in range(4):
            one.call(f"model-{number}", routes[(number + offset) % len(routes)], f"tenant-{number}")
    for code in range(200, 600):
        one.call("model-0", routes[0], code=code)
    found, pairs = one.series(), PAIRS + len(routes)
    histogram = len(LATENCY_BUCKETS) + _REST
    assert found["gateway_request_seconds"] <= pairs * histogram
    assert found["gateway_first_byte_seconds"] <= pairs * histogram
    assert found["gateway_first_token_seconds"] <= (MODELS + 2) * histogram
    assert found["gateway_requests"] <= pairs * (CODES + 4)
    assert found["gateway_model_requests"] <= (MODELS + 2) * 4
    assert found["gateway_time_per_output_token_seconds"] <= (MODELS + 2) * (len(TOKEN_BUCKETS) + _REST)
    assert found["gateway_tenant_first_token_seconds"] == (TENANTS + 1) * (len(TENANT_BUCKETS) + _REST)
    assert found["gateway_tenant_requests"] <= (TENANTS + 1) * 4
    of_first = Counter(one.labels("model"))
    assert of_first[OTHERS] > 0
    assert len(of_first) <= MODELS + 2


async def test_a_scrape_forgets_what_the_catalog_has_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with gateway(tmp_path) as bench:
        await bench.chat()
        bench.catalog.replace(Catalog({}))
        assert 'model="chat"' in (await bench.http.get("/metrics")).text
        monkeypatch.setattr("switchyard.gateway.meter.KEPT_SECONDS", 0.0)
        assert 'model="chat"' not in (await bench.http.get("/metrics")).text
