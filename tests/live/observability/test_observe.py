"""The whole platform, observed: real models come and go as targets, and one chat is one trace."""

import json
from functools import partial
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.live.platform import Platform, http_client
from tests.live.processes import eventually, fetch

pytestmark = pytest.mark.live


def targets(observed: Platform) -> dict[str, str]:
    """The health of what Prometheus scrapes, by the name of the model or the job."""
    url = observed.record()["observers"]["prometheus"]
    found = json.loads(fetch(f"{url}/api/v1/targets?state=active")[1])["data"]["activeTargets"]
    return {row["labels"].get("service", row["labels"]["job"]): row["health"] for row in found}


def query(observed: Platform, expression: str) -> list[dict[str, Any]]:
    url = observed.record()["observers"]["prometheus"]
    rows: list[dict[str, Any]] = json.loads(fetch(f"{url}/api/v1/query?{urlencode({'query': expression})}")[1])["data"][
        "result"
    ]
    return rows


def test_a_model_that_was_asked_is_scraped_with_its_engine(observed: Platform) -> None:
    with http_client(observed) as client:
        body = {"model": "chat-fast", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 3}
        assert client.post("/v1/chat/completions", json=body).status_code == 200
    eventually(lambda: targets(observed).get("chat-fast") == "up", "the model is scraped")
    eventually(lambda: query(observed, 'vllm:num_requests_running{service="chat-fast"}'), "its engine's metrics")
    counted = 'gateway_requests_total{model="chat-fast",job="gateway",namespace="local"}'
    eventually(lambda: query(observed, counted), "the gateway's metrics")


def test_every_target_is_up(observed: Platform) -> None:
    def down() -> dict[str, str]:
        return {name: health for name, health in targets(observed).items() if health != "up"}

    eventually(lambda: not down(), f"all are up, but for {down()}")
    assert {"gateway", "supervisor", "sync", "complexity", "auto", "collector", "jaeger"} <= {*targets(observed)}


def test_the_collectors_metrics_are_called_as_rules_and_boards_have_it(observed: Platform) -> None:
    for name in ("otelcol_receiver_accepted_spans_total", "otelcol_exporter_sent_spans_total"):
        eventually(partial(query, observed, name), name)


def test_no_rule_fails(observed: Platform) -> None:
    url = observed.record()["observers"]["prometheus"]
    groups = json.loads(fetch(f"{url}/api/v1/rules")[1])["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) > 100
    assert [rule["name"] for rule in rules if rule["health"] == "err"] == []
