"""Prometheus finds every pod of ours where its metrics are, under the labels that boards and rules ask for."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from tests.manifests.documents import (
    CLUSTERS,
    PLATFORM,
    ROOT,
    Document,
    Rendered,
    containers,
    leaves,
    of_kind,
    render_component,
)
from tests.manifests.pods import Pod, pods
from tests.manifests.scraping import Target, targets
from tests.manifests.test_image_pins import floating
from tests.manifests.test_network_policies import connected
from tests.manifests.test_pod_security import violations
from tools.images.recipes import RECIPES

SPANS = "OTEL_EXPORTER_OTLP_ENDPOINT"
UNWATCHED = {"redis"}  # its exporter, where there is one, is the platform's: kustomize/platform/monitoring/redis.yaml
# The jobs of boards and rules that an overlay's pods are read as; the platform's are below.
JOBS = {"gateway", "predictor", "graph", "queue-proxy", "sync"}


def monitors(documents: list[Document]) -> list[Document]:
    return [*of_kind(documents, "PodMonitor").values()]


def watched(documents: list[Document]) -> dict[str, list[Target]]:
    """The targets of each pod that has metrics."""
    found = [pod for pod in pods(documents) if pod.name not in UNWATCHED]
    return {pod.name: [*targets(pod, monitors(documents))] for pod in found}


def platform() -> list[Document]:
    return render_component(PLATFORM / "monitoring")


@pytest.mark.parametrize("environment", CLUSTERS)
def test_every_pod_is_read_once_at_the_port_that_its_annotation_names(rendered: Rendered, environment: str) -> None:
    said = {pod.name: int(pod.annotations["prometheus.io/port"]) for pod in pods(rendered[environment]) if said_so(pod)}
    own = {
        name: [target.port for target in found if target.labels["job"] != "queue-proxy"]
        for name, found in watched(rendered[environment]).items()
    }

    assert own == {name: [port] for name, port in said.items()}


def said_so(pod: Pod) -> bool:
    return pod.annotations.get("prometheus.io/scrape") == "true"


@pytest.mark.parametrize("environment", CLUSTERS)
def test_policies_let_prometheus_read_every_target(rendered: Rendered, environment: str) -> None:
    flows = [("prometheus", name, one.port) for name, found in watched(rendered[environment]).items() for one in found]

    assert len(flows) > len(watched(rendered[environment]))
    assert [flow for flow in flows if not connected(rendered, environment, flow)] == []


@pytest.mark.parametrize("environment", CLUSTERS)
def test_targets_have_the_jobs_and_labels_of_boards_and_rules(rendered: Rendered, environment: str) -> None:
    documents = rendered[environment]
    found = watched(documents)
    jobs = {target.labels["job"] for one in found.values() for target in one}

    assert jobs == JOBS - ({"sync"} if environment != "dev" else set())
    for pod in pods(documents):
        if pod.knative:
            (proxy, own) = found[pod.name]
            kind = "graph" if pod.labels["switchyard.dev/kind"] == "graph" else "predictor"
            assert [proxy.labels["job"], own.labels["job"]] == ["queue-proxy", kind]
            for target in (proxy, own):
                assert target.labels["service"] == pod.name
                assert target.labels["kn_revision_name"] == pod.labels["serving.knative.dev/revision"]
                assert target.labels["kn_service_name"] == pod.labels["serving.knative.dev/service"]


@pytest.mark.parametrize("environment", CLUSTERS)
def test_a_gateway_that_asks_for_keys_is_read_with_one(rendered: Rendered, environment: str) -> None:
    (endpoint,) = of_kind(rendered[environment], "PodMonitor")["gateway"]["spec"]["podMetricsEndpoints"]
    key = {"credentials": {"name": "prometheus", "key": "key"}}

    assert endpoint.get("authorization") == (None if environment == "dev" else key)

    (gateway,) = containers(of_kind(rendered[environment], "Deployment")["gateway"])
    secrets = {one["name"]: one["valueFrom"]["secretKeyRef"] for one in gateway.get("env", ())}
    known = {"name": "prometheus", "key": "sha256", "optional": True}
    store = {"name": "store", "key": "STORE_URL", "optional": True}  # of another component, which it leaves alone
    assert secrets == ({} if environment == "dev" else {"METRICS_KEY_SHA256": known, "SWITCHYARD_STORE": store})


@pytest.mark.parametrize("environment", CLUSTERS)
def test_spans_of_gateways_models_and_graphs_go_to_a_collector_that_policies_let_them_reach(
    rendered: Rendered, environment: str
) -> None:
    documents = rendered[environment]
    (gateway,) = [
        item["data"] for name, item in of_kind(documents, "ConfigMap").items() if name.startswith("gateway-settings-")
    ]
    told = [gateway[SPANS]]
    for runtime in of_kind(documents, "ClusterServingRuntime").values():
        for container in containers(runtime):
            told += [item["value"] for item in container["env"] if item["name"] == SPANS]

    assert len(told) == 5  # the gateway, and four containers of three runtimes
    told.append(
        RECIPES["router"].env[SPANS]
    )  # in the image: KServe's controller gives a graph's container no variables
    (url,) = {*told}
    host, port = re.fullmatch(r"http://([\w.]+):(\d+)", url).groups()  # type: ignore[union-attr]
    assert host.endswith(".monitoring")
    for pod in pods(documents):
        if pod.name not in UNWATCHED:
            assert connected(rendered, environment, (pod.name, "collector", int(port))), pod.name


def test_the_platforms_objects_lie_in_one_namespace() -> None:
    found = platform()

    (namespace,) = of_kind(found, "Namespace")
    assert {one["metadata"]["namespace"] for one in found if one["kind"] != "Namespace"} == {namespace}


def test_what_the_platform_is_read_as() -> None:
    jobs = set()
    for monitor in platform():
        for endpoint in (
            *monitor.get("spec", {}).get("podMetricsEndpoints", ()),
            *monitor.get("spec", {}).get("endpoints", ()),
        ):
            jobs |= {
                rule["replacement"]
                for rule in endpoint["relabelings"]
                if rule["targetLabel"] == "job" and "sourceLabels" not in rule
            }
    assert jobs == {"collector", "dcgm", "karpenter", "keda", "kserve", "redis"}
    (knative,) = [one for one in platform() if one["metadata"]["name"] == "knative"]
    named = {}
    for app in ("activator", "autoscaler", "controller", "webhook"):
        spec = {"containers": [{"name": app, "ports": [{"name": "metrics", "containerPort": 9090}]}]}
        (target,) = targets(Pod(name=app, labels={"app": app}, spec=spec, knative=False), [knative])
        named[app] = target.labels["job"]
    assert named == {
        "activator": "activator",
        "autoscaler": "autoscaler",
        "controller": "knative-controller",
        "webhook": "knative-webhook",
    }


def test_every_rule_of_prometheus_is_an_object_of_its_operator_in_the_overlays(rendered: Rendered) -> None:
    plain = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / "dashboards/rules").glob("*.yaml")}
    for environment in CLUSTERS:
        objects = of_kind(rendered[environment], "PrometheusRule")
        assert {name.removeprefix("switchyard-"): one["spec"] for name, one in objects.items()} == plain


def test_the_collector_is_where_spans_are_sent_fits_the_restricted_profile_and_floats_not() -> None:
    found = platform()
    service = of_kind(found, "Service")["collector"]["spec"]
    (pod,) = pods(found)
    images = {str(value) for one in found for path, value in leaves(one) if path.endswith(".image")}

    assert {4317, 4318} == {port["port"] for port in service["ports"]}
    assert service["selector"].items() <= pod.labels.items()
    assert [*violations(pod)] == []
    assert floating(images) == set()
    assert [target.labels["job"] for target in targets(pod, monitors(found))] == ["collector"]
    assert variables(found, pod.spec, "collector.yaml") == told(found, pod.spec)
    # Random, so that no client can choose ids of traces that are kept.
    (salt,) = pod.spec["containers"][0]["env"]
    assert salt["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.uid"}}


def test_the_shipper_of_logs_is_root_of_files_that_it_may_only_read_and_of_nothing_else() -> None:
    found = platform()
    (agent,) = of_kind(found, "DaemonSet").values()
    spec = agent["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    pod = Pod(name="log-agent", labels=agent["spec"]["template"]["metadata"]["labels"], spec=spec, knative=False)

    assert {*violations(pod)} == {
        "volume logs is a {'hostPath'}",
        "volume state is a {'hostPath'}",
        "collector: runAsNonRoot",
        "collector: runAsUser",
    }
    assert {mount["name"]: mount.get("readOnly", False) for mount in container["volumeMounts"]} == {
        "configuration": True,
        "logs": True,
        "state": False,
    }
    assert spec["automountServiceAccountToken"] is False
    assert [target.labels["job"] for target in targets(pod, monitors(found))] == ["collector"]
    assert variables(found, spec, "logs.yaml") == told(found, spec)
    (namespace,) = of_kind(found, "Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "privileged"


def variables(documents: list[Document], pod: Mapping[str, Any], file: str) -> set[str]:
    """The variables that a configuration of the collector asks for."""
    (source,) = [volume["configMap"]["name"] for volume in pod["volumes"] if "configMap" in volume]
    assert pod["containers"][0]["args"] == [f"--config=file:/etc/collector/{file}"]
    return {*re.findall(r"\$\{env:(\w+)\}", of_kind(documents, "ConfigMap")[source]["data"][file])}


def told(documents: list[Document], pod: Mapping[str, Any]) -> set[str]:
    """The variables that its pod gets."""
    (container,) = pod["containers"]
    (source,) = container["envFrom"]
    shared = of_kind(documents, "ConfigMap")[source["configMapRef"]["name"]]["data"]
    return {*shared, *(one["name"] for one in container.get("env", ()))}
