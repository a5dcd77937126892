import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from switchyard.local.errors import LocalError
from switchyard.local.plan.plan import plan
from switchyard.local.plan.scale import Scale
from switchyard.local.plan.workloads import Options, Plan, Service
from tests.switchyard.local.overlays import STUB, Stub, gateway, runtime, runtime_of_two

ROOT = Path("/project")
OPTIONS = Options(root=ROOT, state=ROOT / ".switchyard", claims={"model-repository": ROOT / "model-repository"})

SETTINGS = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "stub-settings"},
    "data": {"FROM_MAP": "yes", "BOTH": "map", "CACHE": "/mnt/models/cache"},
}


def planned(*documents: dict[str, Any]) -> Plan:
    return plan([runtime(), runtime_of_two(), SETTINGS, *documents], OPTIONS)


def service(stub: Stub, **predictor: Any) -> Service:
    document = stub.document()
    document["spec"]["predictor"] |= predictor
    return planned(document).services[0]


def test_a_service_runs_what_its_pod_would_run() -> None:
    found = service(Stub(name="chat", env={"BOTH": "own"}))
    models = "/project/model-repository/stubs/stub"
    assert found.command.argv == (
        sys.executable,
        str(STUB),
        "--model_name=chat",
        f"--model_dir={models}",
        "--http_port=8080",
    )
    assert found.command.env == {
        "FROM_MAP": "yes",
        "BOTH": "own",
        "CACHE": f"{models}/cache",
        "MODEL_FILE": f"{models}/weights",
        "INFERENCE_SERVICE_NAME": "chat",
    }
    assert found.command.readiness == "/v2/models/chat/ready"
    assert (found.command.http_port, found.command.grpc) == (8080, False)
    assert found.model.name == "chat"


def test_the_services_args_follow_its_runtimes() -> None:
    document = Stub(name="chat").document()
    document["spec"]["predictor"]["model"]["args"] = ["--dtype=float32", "--grpc_port=8081"]
    command = planned(document).services[0].command
    assert command.argv[-2:] == ("--dtype=float32", "--grpc_port=8081")
    assert command.ports == {8080, 8081}


@pytest.mark.parametrize(("name", "port", "takes"), [("h2c", 8080, True), ("http1", 8080, False), ("h2c", 8081, False)])
def test_a_service_takes_grpc_on_its_port_if_that_is_called_h2c(name: str, port: int, takes: bool) -> None:
    of_two = runtime_of_two()
    of_two["spec"]["containers"][1]["ports"] = [{"name": name, "containerPort": port}]
    found = plan([of_two, SETTINGS, Stub(name="chat", runtime="two").document()], OPTIONS)
    assert found.services[0].command.grpc is takes


def test_scale_comes_from_the_fields_that_knative_reads() -> None:
    annotations = {
        "autoscaling.knative.dev/window": "30s",
        "autoscaling.knative.dev/scale-down-delay": "1m",
        "autoscaling.knative.dev/scale-to-zero-pod-retention-period": "2m",
        "serving.knative.dev/progress-deadline": "20m",
    }
    found = service(Stub(name="chat"), annotations=annotations, timeout=600, containerConcurrency=8, minReplicas=3)
    assert found.scale == Scale(minimum=1, concurrency=8, timeout=600, idle=210, progress_deadline=1200)


def test_absent_scale_fields_have_knatives_defaults() -> None:
    document = Stub(name="chat").document()
    for field in ("annotations", "minReplicas", "containerConcurrency", "timeout"):
        del document["spec"]["predictor"][field]
    found = planned(document).services[0]
    assert found.scale == Scale(minimum=1, concurrency=0, timeout=300, idle=60, progress_deadline=600)


@pytest.mark.parametrize(
    ("predictor", "message"),
    [
        ({"annotations": {"autoscaling.knative.dev/window": "60"}}, r"annotation .*window: '60' is not a duration"),
        ({"minReplicas": -1}, "spec.predictor.minReplicas is -1"),
        ({"timeout": "600"}, "spec.predictor.timeout is '600'"),
        ({"model": None}, "needs `model` or `containers`, and has neither"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(predictor: dict[str, Any], message: str) -> None:
    with pytest.raises(LocalError, match=message):
        service(Stub(name="chat"), **predictor)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("hf://org/model", "hf download org/model --local-dir /project/model-repository/hub/org/model`"),
        ("hf://org/model", "set storageUri: pvc://model-repository/hub/org/model in the overlay"),
        ("hf://org/model:v1", "download org/model --revision v1 --local-dir /project/model-repository/hub/org/model`"),
        ("s3://bucket/model", "put the model in a folder and use pvc://model-repository/<folder>"),
        ("pvc://other/model", "pvc://model-repository/<folder>"),
        ("pvc://model-repository/../../etc", "points outside the claim"),
    ],
)
def test_a_model_that_is_not_here_fails_its_service_only(uri: str, message: str) -> None:
    found = service(Stub(name="chat", storage=uri))
    assert message in found.problem
    assert found.model_dir is None


def test_a_pod_of_two_containers_answers_at_the_one_with_ports() -> None:
    found = service(Stub(name="chat", runtime="two"))
    assert "--peer=127.0.0.1:9000" in found.command.argv
    assert found.command.ports == {8080}
    (other,) = found.sidecars
    assert other.name == "chat.kserve-container"
    assert other.argv[-2:] == ("--http-port=9000", "--model_dir=/project/model-repository/stubs/stub")
    assert other.readiness == ""
    assert other.ports == {9000}


def test_a_service_may_change_the_container_beside_its_model() -> None:
    document = Stub(name="chat", runtime="two").document()
    document["spec"]["predictor"]["containers"] = [{"name": "transformer-container", "args": ["--extra"]}]
    assert planned(document).services[0].command.argv[-1] == "--extra"


def test_a_pod_in_which_nobody_or_everybody_has_ports_is_an_error() -> None:
    crowded = runtime_of_two()
    crowded["spec"]["containers"][0]["ports"] = [{"containerPort": 9000}]
    with pytest.raises(LocalError, match="several containers with ports: kserve-container, transformer-container"):
        plan([crowded, SETTINGS, Stub(name="chat", runtime="two").document()], OPTIONS)
    closed = runtime_of_two()
    del closed["spec"]["containers"][1]["ports"]
    with pytest.raises(LocalError, match="no container with ports among its containers"):
        plan([closed, SETTINGS, Stub(name="chat", runtime="two").document()], OPTIONS)


def test_a_model_and_a_main_container_of_ones_own_exclude_each_other() -> None:
    document = Stub(name="chat").document()
    document["spec"]["predictor"]["containers"] = [{"name": "kserve-container", "args": []}]
    with pytest.raises(LocalError, match="both `model` and a kserve-container"):
        planned(document)


def test_a_custom_container_needs_no_runtime() -> None:
    document = Stub(name="custom").document()
    predictor = document["spec"]["predictor"]
    del predictor["model"]
    predictor["containers"] = [
        {
            "name": "kserve-container",
            "command": ["serve"],
            "args": ["--port", "9000", "$(MODE)"],
            "env": [{"name": "MODE", "value": "fast"}, {"name": "STORAGE_URI", "value": "pvc://model-repository/m"}],
            "ports": [{"name": "h", "containerPort": 9000}],
            "readinessProbe": {"httpGet": {"path": "/ok", "port": "h"}},
        }
    ]
    found = planned(document).services[0]
    assert found.command.argv == ("serve", "--port", "9000", "fast")
    assert found.model_dir == ROOT / "model-repository" / "m"


def test_a_runtime_selects_itself_by_format_and_priority() -> None:
    low, high = runtime(), runtime()
    low["metadata"] = {"name": "low"}
    high["metadata"] = {"name": "high"}
    for document, priority in ((low, 1), (high, 2)):
        document["spec"]["supportedModelFormats"] = [{"name": "stub", "autoSelect": True, "priority": priority}]
        document["spec"]["containers"][0]["args"].append(f"--which={priority}")
    document = Stub(name="chat").document()
    del document["spec"]["predictor"]["model"]["runtime"]
    assert planned(low, high, document).services[0].command.argv[-1] == "--which=2"


def test_a_runtime_that_is_not_rendered_is_named() -> None:
    document = Stub(name="chat").document()
    document["spec"]["predictor"]["model"]["runtime"] = "absent"
    with pytest.raises(LocalError, match="runtime absent is not in the overlay"):
        planned(document)


@pytest.mark.parametrize(
    ("model", "fault"),
    [
        ({"modelFormat": {"name": "gguf"}}, "takes the formats stub 1, onnx, not modelFormat gguf; KServe would"),
        ({"modelFormat": {"name": "stub", "version": "2"}}, "not modelFormat stub 2"),
        ({"modelFormat": {"name": "onnx", "version": "1"}}, "not modelFormat onnx 1"),
        ({"protocolVersion": "v1"}, "speaks v2, grpc-v2, not protocolVersion v1"),
        ({"modelFormat": {"name": "stub", "version": "1"}, "protocolVersion": "grpc-v2"}, None),
        ({"modelFormat": {"name": "onnx"}}, None),
    ],
)
def test_a_model_that_kserve_would_reject_for_its_runtime_is_rejected(model: dict[str, Any], fault: str | None) -> None:
    document, found = Stub(name="chat").document(), runtime()
    document["spec"]["predictor"]["model"] |= model
    found["spec"] |= {
        "supportedModelFormats": [{"name": "stub", "version": "1"}, {"name": "onnx"}],
        "protocolVersions": ["v2", "grpc-v2"],
    }
    if fault is None:
        assert plan([found, SETTINGS, document], OPTIONS).services
    else:
        with pytest.raises(LocalError, match=f"InferenceService chat: runtime stub .*{fault}"):
            plan([found, SETTINGS, document], OPTIONS)


def test_a_config_map_reference_without_its_hash_is_explained() -> None:
    settings = {**SETTINGS, "metadata": {"name": "stub-settings-h4sh"}}
    with pytest.raises(LocalError, match="the overlay has stub-settings-h4sh, so kustomize's name reference"):
        plan([runtime(), settings, Stub(name="chat").document()], OPTIONS)


def test_a_deployment_keeps_its_ports_and_reads_the_catalog() -> None:
    (app,) = planned(gateway(8000)).deployments
    assert app.gateway
    assert app.command.http_port == 8000
    assert app.command.env["SWITCHYARD_CATALOG"] == "/project/.switchyard/catalog.json"
    assert app.command.env["SWITCHYARD_STORE"] == "sqlite:///project/.switchyard/ledger.db"


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("redis://redis:6379", "sqlite:///project/.switchyard/redis.db"),
        ("rediss://user:word@redis.models.svc.cluster.local/0", "sqlite:///project/.switchyard/redis.db"),
        ("redis://redis.example.com:6379", "redis://redis.example.com:6379"),
        ("of redis://redis:6379", "of redis://redis:6379"),
    ],
)
def test_a_file_takes_the_place_of_a_redis_that_the_overlay_would_run(url: str, here: str) -> None:
    document = gateway(8000)
    document["metadata"]["namespace"] = "models"
    document["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "SWITCHYARD_STORE", "value": url}]
    metadata = {"name": "redis", "namespace": "models"}
    ports = {"spec": {"ports": [{"port": 6379}]}}
    redis = (
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, **ports},
        {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, "spec": {"serviceName": "redis"}},
    )
    (app,) = plan([document, *redis], OPTIONS).deployments
    assert app.command.env["SWITCHYARD_STORE"] == here


def test_a_gateway_with_tls_is_probed_as_its_clients_reach_it() -> None:
    (plain,) = planned(gateway(8000)).deployments
    assert plain.command.probe == "http"
    document = gateway(8000)
    env = document["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "TLS_CERT_FILE", "value": "/a"}]
    (own,) = planned(document).deployments
    assert (own.command.probe, own.command.env["TLS_CERT_FILE"]) == ("https", "/a")
    env.append({"name": "TLS_CLIENT_CA_FILE", "value": "/ca"})
    assert planned(document).deployments[0].command.probe == "tcp"
    given = replace(OPTIONS, gateway_tls=(Path("/b.crt"), Path("/b.key")))
    (chosen,) = plan([document], given).deployments
    assert (chosen.command.env["TLS_CERT_FILE"], chosen.command.env["TLS_KEY_FILE"]) == ("/b.crt", "/b.key")


def test_volumes_become_folders_of_the_run_directory() -> None:
    document = gateway(8000)
    pod = document["spec"]["template"]["spec"]
    pod["volumes"] = [
        {"name": "settings", "configMap": {"name": "stub-settings"}},
        {"name": "scratch", "emptyDir": {"sizeLimit": "1Gi"}},
    ]
    pod["containers"][0]["volumeMounts"] = [
        {"name": "settings", "mountPath": "/etc/switchyard"},
        {"name": "scratch", "mountPath": "/tmp"},
    ]
    pod["containers"][0]["args"] += ["--config=/etc/switchyard/FROM_MAP"]
    pod["containers"][0]["env"] = [{"name": "HOME", "value": "/tmp"}]
    command = planned(document).deployments[0].command
    home = ROOT / ".switchyard" / "workloads" / "gateway" / "volumes"
    assert command.argv[-1] == f"--config={home / 'settings' / 'FROM_MAP'}"
    assert command.files[home / "settings" / "FROM_MAP"] == "yes"
    assert command.env["HOME"] == str(home / "scratch")
    assert home / "scratch" in command.folders


def test_a_container_without_a_readiness_path_is_an_error() -> None:
    document = gateway(8000)
    del document["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]
    with pytest.raises(LocalError, match=r"Deployment gateway: no readinessProbe\.httpGet\.path"):
        planned(document)


def test_a_container_without_a_port_flag_is_an_error() -> None:
    document = gateway(8000)
    document["spec"]["template"]["spec"]["containers"][0]["args"] = []
    with pytest.raises(LocalError, match="no --http_port or --port"):
        planned(document)


def test_a_stopped_service_is_planned_as_stopped() -> None:
    document = Stub(name="chat").document()
    document["metadata"]["annotations"] = {"serving.kserve.io/stop": "true"}
    assert planned(document).services[0].stopped


def test_two_workloads_of_one_name_are_an_error() -> None:
    document = Stub(name="gateway").document()
    with pytest.raises(LocalError, match="gateway: two documents"):
        planned(document, gateway(8000))


def test_a_service_without_a_kind_label_is_an_error() -> None:
    document = Stub(name="chat").document()
    del document["metadata"]["labels"]
    with pytest.raises(LocalError, match=r"label switchyard\.dev/kind"):
        planned(document)


def test_another_port_of_the_gateway_moves_all_its_ports_and_no_other_deployments() -> None:
    of_gateway, other = gateway(8000, real=True), gateway(8100)
    of_gateway["spec"]["template"]["spec"]["containers"][0]["args"][1] = "--grpc_port=8001"
    other["metadata"] = {"name": "page"}
    found = plan([of_gateway, other], replace(OPTIONS, gateway_port=9000))
    assert found.gateway is not None
    command = found.gateway.command
    assert command.argv[-2:] == ("--http_port=9000", "--grpc_port=9001")
    assert (command.http_port, command.readiness) == (9000, "/readyz")
    assert command.ports == {9000, 9001}
    assert found.deployments[1].command.ports == {8100}


def test_a_port_beside_which_the_gateway_finds_no_second_one_is_rejected() -> None:
    of_gateway = gateway(8000, real=True)
    of_gateway["spec"]["template"]["spec"]["containers"][0]["args"][1] = "--grpc_port=8001"
    with pytest.raises(LocalError, match="with port 65535, gateway would also need port 65536"):
        plan([of_gateway], replace(OPTIONS, gateway_port=65535))


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("vision", "/project/.switchyard/repository/vision"),
        ("llm/chat", "/project/.switchyard/repository/llm/chat"),
        ("llm", "/project/model-repository/llm"),
        ("llm/chat/part", "/project/model-repository/llm/chat/part"),
        ("vision/ocr", "/project/model-repository/vision/ocr"),
        ("hub/org/model", "/project/model-repository/hub/org/model"),
        ("", "/project/model-repository"),
    ],
)
def test_what_is_judged_is_served_from_where_it_is_published_and_the_rest_of_the_claim_from_its_folder(
    path: str, folder: str
) -> None:
    options = replace(OPTIONS, published={"model-repository": ROOT / ".switchyard/repository"})
    document = Stub(name="chat").document()
    document["spec"]["predictor"]["model"]["storageUri"] = f"pvc://model-repository/{path}"
    found = plan([runtime(), SETTINGS, document], options).services[0]
    assert found.model_dir == Path(folder)
    assert f"--model_dir={folder}" in found.command.argv
