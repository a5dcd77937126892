"""Rules that every rendered document follows, whatever it serves."""

import re
import tomllib
from collections.abc import Iterator

import pytest

from switchyard.catalog import CONTEXT_LENGTH_ANNOTATION, KIND_LABEL, describe
from tests.manifests.documents import (
    CLUSTERS,
    ENVIRONMENTS,
    ROOT,
    Document,
    Rendered,
    containers,
    leaves,
    of_kind,
    settings,
)

KEBAB_CASE = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")  # what KServe accepts as a name
MODEL_FORMATS = {"vllm": "switchyard-vllm", "python": "switchyard-python", "triton": "switchyard-triton"}
CLUSTER_WIDE = {"ClusterServingRuntime", "LocalModelCache", "LocalModelNodeGroup", "Namespace", "PriorityClass"}
KNATIVE_TIMEOUT = 600  # config-defaults, max-revision-timeout-seconds


def workloads(documents: list[Document]) -> Iterator[tuple[str, Document]]:
    """Each container of each runtime, Deployment and StatefulSet, with a name for messages."""
    for document in documents:
        if document["kind"] in ("ClusterServingRuntime", "Deployment", "StatefulSet"):
            for container in containers(document):
                yield f"{document['metadata']['name']}/{container['name']}", container


@pytest.fixture(params=ENVIRONMENTS)
def documents(rendered: Rendered, request: pytest.FixtureRequest) -> list[Document]:
    found: list[Document] = rendered[request.param]
    return found


def test_our_images_of_the_base_are_of_this_version(rendered: Rendered) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

    images = {container["image"] for _, container in workloads(rendered["local"])}
    assert {image for image in images if image.startswith("switchyard/")} == {
        f"switchyard/platform:{version}",
        f"switchyard/predictor:{version}",
        f"switchyard/triton:{version}",
    }


def test_every_container_has_requests_and_limits(documents: list[Document]) -> None:
    for name, container in workloads(documents):
        for side in ("requests", "limits"):
            assert {"cpu", "memory"} <= container["resources"][side].keys(), f"{name}: {side}"


def test_every_container_runs_without_privileges_on_a_read_only_root(documents: list[Document]) -> None:
    for name, container in workloads(documents):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False, name
        assert context["capabilities"] == {"drop": ["ALL"]}, name
        assert context["runAsNonRoot"] is True, name
        assert context["runAsUser"] > 0, name
        assert context["readOnlyRootFilesystem"] is True, name
        assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}, f"{name} needs a place to write"


def test_a_container_that_serves_requests_is_asked_whether_it_is_ready(documents: list[Document]) -> None:
    for name, container in workloads(documents):
        # Knative rejects probes of containers without a port unless a feature allows them.
        assert ("ports" in container) == ("readinessProbe" in container), name
        if "ports" in container:  # an open port is not yet an answer
            probe = container["readinessProbe"]
            assert probe["exec"]["command"] if "exec" in probe else probe["httpGet"]["path"].startswith("/"), name


def test_a_container_that_serves_requests_is_restarted_when_it_hangs_and_not_when_it_is_busy(
    documents: list[Document],
) -> None:
    for name, container in workloads(documents):
        assert ("ports" in container) == ("livenessProbe" in container), name
        if "ports" in container:
            live, ready = container["livenessProbe"], container["readinessProbe"]
            assert live != ready, f"{name}: a model that unloads, or waits for another, is alive"
            assert live["periodSeconds"] * live["failureThreshold"] >= 60, name
            if "startupProbe" not in container:  # until then, Kubernetes asks for nothing else
                assert name in ("gateway/gateway", "redis/redis", "repository-sync/sync")


def test_no_document_sets_what_kserve_rejects(documents: list[Document]) -> None:
    assert "PYTHONPATH" not in [value for document in documents for _, value in leaves(document)]


def test_a_runtime_opens_exactly_one_port(documents: list[Document]) -> None:
    for name, runtime in of_kind(documents, "ClusterServingRuntime").items():
        ports = [port["containerPort"] for container in containers(runtime) for port in container.get("ports", ())]
        assert ports == [8080], name


def test_no_proxy_of_knative_cuts_a_fast_response_to_http_1(rendered: Rendered) -> None:
    for name in CLUSTERS:
        for runtime in of_kind(rendered[name], "ClusterServingRuntime").values():
            named = [port.get("name") for container in containers(runtime) for port in container.get("ports", ())]
            assert named == ["h2c"], (name, runtime["metadata"]["name"])
        for graph in of_kind(rendered[name], "InferenceGraph").values():
            annotations = graph["metadata"]["annotations"]
            assert annotations["features.knative.dev/http-full-duplex"] == "Enabled", (name, graph["metadata"]["name"])


def test_a_container_without_a_port_listens_within_the_pod_only(documents: list[Document]) -> None:
    for name, container in workloads(documents):
        if "ports" not in container:
            args = container["args"]
            assert {"--http-address=127.0.0.1", "--grpc-address=127.0.0.1", "--metrics-address=127.0.0.1"} <= {*args}, (
                name
            )


def test_cluster_wide_objects_carry_no_namespace_and_all_others_do(documents: list[Document]) -> None:
    for document in documents:
        cluster_wide = document["kind"] in CLUSTER_WIDE
        assert ("namespace" in document["metadata"]) != cluster_wide, document["metadata"]["name"]


def test_a_service_has_one_name_everywhere(documents: list[Document]) -> None:
    for name, service in of_kind(documents, "InferenceService").items():
        model = service["spec"]["predictor"]["model"]
        assert KEBAB_CASE.fullmatch(name)
        assert "name" not in model, "KServe rejects it"
        named = [argument for argument in model.get("args", []) if argument.startswith("--model_name")]
        own = model["runtime"] == "switchyard-python"  # which leaves all args to the service
        assert named == ([f"--model_name={name}"] if own else [])
        (asked,) = [model] if "envFrom" in model else service["spec"]["predictor"]["containers"]
        reference, *secrets = asked["envFrom"]
        assert [{*source} for source in secrets] in ([], [{"secretRef"}])
        assert reference["configMapRef"]["name"].startswith(f"{name}-settings-")
        assert reference["configMapRef"]["name"] in of_kind(documents, "ConfigMap"), "the hash did not reach it"


def test_the_runtime_gives_a_service_its_name(documents: list[Document]) -> None:
    container = containers(of_kind(documents, "ClusterServingRuntime")["switchyard-vllm"])[0]

    assert "--model_name={{.Name}}" in container["args"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/v2/models/{{.Name}}/ready"


def test_a_service_says_how_it_is_deployed_and_where_its_model_lies(documents: list[Document]) -> None:
    runtimes = of_kind(documents, "ClusterServingRuntime")
    for name, service in of_kind(documents, "InferenceService").items():
        model = service["spec"]["predictor"]["model"]
        assert service["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "Knative", name
        assert model["storageUri"], f"{name}: without it KServe takes it for a multi-model server"
        assert model["runtime"] == MODEL_FORMATS[model["modelFormat"]["name"]], name
        formats = {entry["name"] for entry in runtimes[model["runtime"]]["spec"]["supportedModelFormats"]}
        assert model["modelFormat"]["name"] in formats


def test_a_service_can_be_listed_in_the_catalog(documents: list[Document]) -> None:
    for name, service in of_kind(documents, "InferenceService").items():
        listed = describe(service, url="http://127.0.0.1:1")
        model = service["spec"]["predictor"]["model"]
        pools = "--runner=pooling" in model.get("args", ())
        kinds = {
            "switchyard-python": {"step", "vision"},  # for graphs alone, or asked by tensors
            "switchyard-triton": {"vision"},
            "switchyard-vllm": {"embedding" if pools else "llm"},
        }
        assert listed.name == name
        assert listed.kind in kinds[model["runtime"]]


def test_the_context_length_that_is_listed_is_the_one_that_the_engine_gets(documents: list[Document]) -> None:
    for name, service in of_kind(documents, "InferenceService").items():
        if service["metadata"]["labels"][KIND_LABEL] in ("step", "vision"):
            continue
        listed = service["metadata"]["annotations"][CONTEXT_LENGTH_ANNOTATION]
        assert f"--max-model-len={listed}" in service["spec"]["predictor"]["model"]["args"], name


def test_auto_knows_how_much_its_quick_tier_reads(documents: list[Document]) -> None:
    services = of_kind(documents, "InferenceService")
    window = services["chat-fast"]["metadata"]["annotations"][CONTEXT_LENGTH_ANNOTATION]

    assert f"--fast_window={window}" in services["complexity"]["spec"]["predictor"]["model"]["args"]
    assert of_kind(documents, "InferenceGraph")["auto"]["metadata"]["annotations"][CONTEXT_LENGTH_ANNOTATION] == window


def test_a_service_scales_within_what_knative_allows(documents: list[Document]) -> None:
    for name, service in of_kind(documents, "InferenceService").items():
        predictor = service["spec"]["predictor"]
        assert 0 <= predictor["minReplicas"] <= predictor["maxReplicas"], name
        assert predictor["maxReplicas"] > 0, f"{name}: 0 means without a limit"
        assert 0 < predictor["scaleTarget"] <= predictor["containerConcurrency"], name
        assert 0 < predictor["timeout"] <= KNATIVE_TIMEOUT, name
        assert predictor["scaleMetric"] == "concurrency", name


def test_a_predictor_accepts_every_request_that_its_queue_sends(documents: list[Document]) -> None:
    for name, service in of_kind(documents, "InferenceService").items():
        env = settings(ROOT / f"manifests/services/{name}/settings.env")
        assert service["spec"]["predictor"]["containerConcurrency"] <= int(env["MAX_CONCURRENT_REQUESTS"]), name


def test_the_start_up_probe_waits_as_long_as_knative_does(documents: list[Document]) -> None:
    probe = containers(of_kind(documents, "ClusterServingRuntime")["switchyard-vllm"])[0]["startupProbe"]
    waits = probe["periodSeconds"] * probe["failureThreshold"]
    for name, service in of_kind(documents, "InferenceService").items():
        if service["metadata"]["labels"][KIND_LABEL] == "step":
            continue
        deadline = service["spec"]["predictor"]["annotations"]["serving.knative.dev/progress-deadline"]
        assert deadline == f"{waits}s", name


def test_only_a_cluster_exposes_the_gateway_beyond_loopback(rendered: Rendered) -> None:
    hosts = {
        name: [
            argument
            for argument in containers(of_kind(documents, "Deployment")["gateway"])[0]["args"]
            if argument.startswith("--host")
        ]
        for name, documents in rendered.items()
    }

    assert hosts["local"] == hosts["local-gpu"] == ["--host=127.0.0.1"]
    assert all(hosts[name] == ["--host=0.0.0.0"] for name in CLUSTERS)


def test_the_gateway_is_given_the_time_that_its_drain_takes(rendered: Rendered) -> None:
    for name, documents in rendered.items():
        gateway = of_kind(documents, "Deployment")["gateway"]["spec"]["template"]["spec"]
        (reference,) = gateway["containers"][0]["envFrom"]
        data = of_kind(documents, "ConfigMap")[reference["configMapRef"]["name"]]["data"]
        assert int(data["DRAIN_SECONDS"]) + int(data["GRACE_SECONDS"]) < gateway["terminationGracePeriodSeconds"], name


def test_the_claim_that_services_name_exists(documents: list[Document]) -> None:
    assert "model-repository" in of_kind(documents, "PersistentVolumeClaim")


def test_models_are_kept_on_nodes_by_the_name_that_services_ask_for(rendered: Rendered) -> None:
    for name, documents in rendered.items():
        cached = {item["spec"]["sourceModelUri"] for item in of_kind(documents, "LocalModelCache").values()}
        groups = of_kind(documents, "LocalModelNodeGroup").keys()
        asked = {
            service["spec"]["predictor"]["model"]["storageUri"]
            for service in of_kind(documents, "InferenceService").values()
        }
        assert cached in (set(), {uri for uri in asked if uri.startswith("hf://")}), name
        assert all({*item["spec"]["nodeGroups"]} <= groups for item in of_kind(documents, "LocalModelCache").values())
