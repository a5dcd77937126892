"""What a real prometheus-operator and a real Prometheus make of our monitors and rules, beside the real Knative."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest
import yaml

from dashboards.boards import scaling
from dashboards.panels import Query
from dashboards.promql import EVERYTHING, fill
from tests.cluster.client import Cluster
from tests.cluster.prometheus import Prometheus, watching
from tests.manifests.documents import ROOT
from tests.manifests.network import Peer, connects
from tools.cluster.kubernetes import kubectl
from tools.cluster.machine.shell import eventually
from tools.cluster.platform.dev_overlay import NAMESPACE

pytestmark = pytest.mark.cluster

SECONDS = 60
ALWAYS = {"activator", "autoscaler", "collector", "gateway", "knative-controller", "knative-webhook", "kserve", "sync"}
AWAKE = {"graph", "predictor", "queue-proxy"}


@dataclass(frozen=True, slots=True)
class Seen:
    """A Prometheus that saw ``chat-fast`` wake by way of the graph, and fall asleep; ``began`` before that."""

    prometheus: Prometheus
    began: float
    awake: dict[str, set[float]]
    targets: list[kubectl.Document]
    pods: dict[str, kubectl.Document]


@pytest.fixture(scope="module")
def seen(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    with watching(tmp_path_factory.mktemp("prometheus")) as prometheus:
        began = time.time()
        eventually("all that never sleeps is read", lambda: prometheus.up().keys() >= ALWAYS, SECONDS, every=1)
        assert cluster.chat("auto").text
        assert cluster.chat("chat-fast").text
        eventually("all that woke is read", lambda: all_read(prometheus), SECONDS, every=0.5)
        awake, targets = prometheus.up(), prometheus.targets()
        found = kubectl.get("pods", "--namespace", NAMESPACE)["items"]
        pods = {pod["status"]["podIP"]: pod for pod in found if "podIP" in pod["status"]}
        # A rate needs a request that the pod had not counted when it was read for the first time.
        asked = partial(cluster.chat, "chat-fast")
        eventually("a request is counted", lambda: bool(asked().text) and counted(prometheus), SECONDS, every=1)
        cluster.wait_asleep("chat-fast")
        eventually("its sleep is read", lambda: wanted(prometheus, "chat-fast-predictor") == 0, SECONDS, every=1)
        yield Seen(prometheus, began, awake, targets, pods)


def all_read(prometheus: Prometheus) -> bool:
    found = prometheus.up()
    return found.keys() >= ALWAYS | AWAKE and all(1.0 in values for values in found.values())


def counted(prometheus: Prometheus) -> bool:
    asked = 'sum(rate(kn_serving_invocation_duration_seconds_count{service="chat-fast"}[1m])) > 0'
    return bool(prometheus.ask("query", query=asked)["result"])


def wanted(prometheus: Prometheus, service: str) -> float:
    rows = prometheus.ask("query", query=f'sum(kn_revision_pods_desired{{kn_service_name="{service}"}})')["result"]
    return float(rows[0]["value"][1]) if rows else math.nan


def test_every_job_of_boards_and_rules_is_read(seen: Seen) -> None:
    assert {job for job, values in seen.awake.items() if 1.0 in values} == ALWAYS | AWAKE


def test_what_pods_say_and_what_knative_says_of_them_have_the_same_names(seen: Seen) -> None:
    joined = (
        "max by (namespace, service, kn_service_name, kn_revision_name) (max_over_time(kn_revision_pods_desired[15m]))"
        " and on (namespace, service, kn_service_name, kn_revision_name)"
        ' max_over_time(up{job=~"predictor|queue-proxy|graph"}[15m])'
    )
    services = {row["metric"]["service"] for row in seen.prometheus.ask("query", query=joined)["result"]}
    assert services >= {"auto", "complexity", "chat-fast"}


def test_every_rule_of_ours_is_loaded_by_prometheus_through_its_operator(seen: Seen) -> None:
    groups = seen.prometheus.ask("rules")["groups"]
    files = (ROOT / "dashboards/rules").glob("*.yaml")
    ours = {group["name"] for path in files for group in yaml.safe_load(path.read_text())["groups"]}

    assert {group["name"] for group in groups} == ours
    assert [rule["name"] for group in groups for rule in group["rules"] if rule["health"] == "err"] == []


def test_network_policies_let_the_namespace_of_prometheus_read_every_target(seen: Seen) -> None:
    """The cluster's own network enforces none, so that they are asked as they lie in the API server."""
    policies = kubectl.get("networkpolicies", "--namespace", NAMESPACE)["items"]
    reader = Peer(namespace="monitoring")
    ours = [target for target in seen.targets if target["labels"].get("namespace") == NAMESPACE]
    found = {}
    for target in ours:
        address, _, port = target["discoveredLabels"]["__address__"].partition(":")
        read = target["scrapeUrl"].split("/")[2].partition(":")[2]
        if address in seen.pods:
            pod = Peer(labels=seen.pods[address]["metadata"]["labels"], namespace=NAMESPACE)
            found[target["labels"]["job"], read or port] = connects(policies, reader, pod, int(read or port))
    assert {job for job, _ in found} >= {"gateway", "graph", "predictor", "queue-proxy", "sync"}
    assert [flow for flow, open_to in found.items() if not open_to] == []


def has_values(seen: Seen, query: Query) -> bool:
    """Whether a query has a finite value at any time since the wake."""
    end = time.time()
    asked = fill(query.expr, {**EVERYTHING, "__range": "15m"})
    answer = seen.prometheus.ask("query_range", query=asked, start=seen.began, end=end, step=2)
    return any(math.isfinite(float(value)) for one in answer["result"] for _, value in one["values"])


def test_the_board_of_scaling_has_values_for_all_that_knative_says(seen: Seen) -> None:
    panels = [panel for panel in scaling.BOARD.panels if any("knative" in query.sources for query in panel.queries)]
    asked = [(panel, query) for panel in panels for query in panel.queries]
    empty = [f"{panel.title}: {query.expr}" for panel, query in asked if not has_values(seen, query)]
    marked = {query.expr for _, query in asked if query.no_data}

    assert len(asked) >= 15
    unmarked = [one for one in empty if one.partition(": ")[2] not in marked]
    assert unmarked == [], "\n".join(unmarked)
