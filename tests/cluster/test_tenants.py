"""Prod's gateway, with its component tenants, before dev's models: two tenants by a Secret, over HTTP and gRPC."""

import json
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import openai
import pytest
import tritonclient.grpc

from switchyard.gateway.tenants.keys import create_key
from tests.cluster import prods
from tests.cluster.client import WAKING_SECONDS, Cluster
from tests.manifests.documents import COMPONENTS
from tools.cluster.kubernetes import kubectl
from tools.cluster.machine.shell import eventually, run
from tools.cluster.platform.dev_overlay import NAMESPACE

pytestmark = pytest.mark.cluster

# Beside dev's own gateway, whose Service must not send it requests without keys.
NAME = "gateway-with-keys"
GATEWAY = {("ConfigMap", "gateway-settings"), ("Deployment", "gateway"), ("Service", "gateway"), prods.PRIORITY}
LABELED = "app.kubernetes.io/name"
# The kubelet looks at a pod's volumes when the pod changes, and else about once a minute.
SYNC_SECONDS = 100
READY_SECONDS = 120

OWN_SPACE, OWN_MODEL = "switchyard-test-acme", "acme-own"
# Stands for a language model: what is asked of it here is who may.
PROGRAM = """
import http.server, json, signal, threading
class Own(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self): self.respond({})
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        message = {"role": "assistant", "content": "acme's own, for " + self.headers["x-switchyard-tenant"]}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        self.respond({"id": "1", "object": "chat.completion", "created": 0, "model": "acme-own", "choices": [choice]})
    def respond(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *ignored): pass
server = http.server.ThreadingHTTPServer(("", 8080), Own)
signal.signal(signal.SIGTERM, lambda *ignored: threading.Thread(target=server.shutdown).start())
server.serve_forever()
"""

ACME, GLOBEX, LATER = create_key(), create_key(), create_key()
MODELS = {"acme": ["chat-*", "auto", "acme-*"], "globex": ["embed"]}


@dataclass(frozen=True, slots=True)
class Keyed:
    """Where the gateway that asks for keys is."""

    url: str
    grpc_target: str

    def client(self, key: str) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0, timeout=WAKING_SECONDS)

    def status(self, key: str | None) -> int:
        """What a list of models is answered with."""
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        with httpx.Client(base_url=self.url, trust_env=False) as client:
            return client.get("/v1/models", headers=headers).status_code


def documents() -> list[kubectl.Document]:
    """Prod's gateway under another name in dev's namespace, as dev's account that may read what is served."""
    found = []
    for document in prods.gateway(GATEWAY, NAMESPACE, replicas=1):
        if document["kind"] in ("Deployment", "Service"):
            document["metadata"]["name"] = NAME
        elif document["kind"] == "ConfigMap":
            document["data"]["SWITCHYARD_TENANT_NAMESPACES"] = f"acme={OWN_SPACE}"
        found.append(json.loads(json.dumps(document).replace(f'"{LABELED}": "gateway"', f'"{LABELED}": "{NAME}"')))
    return found


def tenants(**keys_of_globex: str) -> kubectl.Document:
    acme = prods.tenant("acme", MODELS["acme"], first=ACME)
    return prods.secret(NAMESPACE, acme, prods.tenant("globex", MODELS["globex"], **keys_of_globex))


def own_instance() -> kubectl.Document:
    """A service of acme's, in the image that is on the node."""
    (deployment,) = [one for one in documents() if one["kind"] == "Deployment"]
    (of_gateway,) = deployment["spec"]["template"]["spec"]["containers"]
    container = {
        "name": "kserve-container",
        "image": of_gateway["image"],
        "command": ["python", "-c", PROGRAM],
        "ports": [{"containerPort": 8080, "protocol": "TCP"}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "128Mi"}},
        "securityContext": of_gateway["securityContext"],
    }
    metadata = {
        "name": OWN_MODEL,
        "namespace": OWN_SPACE,
        "labels": {"switchyard.dev/kind": "llm"},
        "annotations": {"serving.kserve.io/deploymentMode": "Knative"},
    }
    predictor = {"minReplicas": 1, "maxReplicas": 1, "serviceAccountName": "predictor", "containers": [container]}
    api = "serving.kserve.io/v1beta1"
    return {"apiVersion": api, "kind": "InferenceService", "metadata": metadata, "spec": {"predictor": predictor}}


@pytest.fixture(scope="module")
def own(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The namespace of component tenant, for the gateway of these tests, with a service in it that is ready."""
    folder = tmp_path_factory.mktemp("own")
    reader = [{"op": "replace", "path": "/subjects/0/namespace", "value": NAMESPACE}]
    overlay = {
        "namespace": OWN_SPACE,
        "components": [os.path.relpath(COMPONENTS / "tenant", folder.resolve())],
        "patches": [{"target": {"kind": "RoleBinding"}, "patch": json.dumps(reader)}],
    }
    (folder / "kustomization.yaml").write_text(json.dumps(overlay))
    with kubectl.namespace(OWN_SPACE):
        kubectl.apply(kubectl.parse(run("kubectl", "kustomize", folder)))
        kubectl.apply([own_instance()])
        waiting = ("wait", "--for=condition=Ready", f"inferenceservice/{OWN_MODEL}", f"--timeout={READY_SECONDS}s")
        kubectl.kubectl("--namespace", OWN_SPACE, *waiting, seconds=READY_SECONDS + 10)
        yield


@pytest.fixture(scope="module")
def gateway(cluster: Cluster, own: None) -> Iterator[Keyed]:
    parts = [tenants(first=GLOBEX), *documents()]
    kubectl.apply(parts)
    try:
        kubectl.rolled_out(NAMESPACE, NAME)
        address = kubectl.get("service", NAME, "--namespace", NAMESPACE)["spec"]["clusterIP"]
        found = Keyed(f"http://{address}:8000", f"{address}:8001")
        eventually("its Service leads to it", lambda: reached(found), 30)
        yield found
    finally:
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": parts})
        kubectl.kubectl("delete", "--wait=false", "--ignore-not-found", "-f", "-", text=text)


def reached(gateway: Keyed) -> bool:
    try:
        return gateway.status(ACME) == 200
    except httpx.TransportError:
        return False


def pod() -> kubectl.Document:
    (found,) = kubectl.get("pods", "--namespace", NAMESPACE, "--selector", f"{LABELED}={NAME}")["items"]
    pod: kubectl.Document = found
    return pod


def text_input() -> list[tritonclient.grpc.InferInput]:
    text = tritonclient.grpc.InferInput("text_input", [1], "BYTES")
    text.set_data_from_numpy(np.array([b"What is 2 + 3?"], dtype=np.object_))
    return [text]


def test_each_tenant_sees_and_uses_its_own_models_over_http(gateway: Keyed) -> None:
    with gateway.client(ACME) as acme, gateway.client(GLOBEX) as globex:
        assert {model.id for model in acme.models.list()} == {"chat-fast", "chat-reasoning", "auto", OWN_MODEL}
        assert {model.id for model in globex.models.list()} == {"embed"}
        question = "What is 2 + 3?"
        said = acme.chat.completions.create(
            model="chat-fast", messages=[{"role": "user", "content": question}], max_tokens=16
        )
        assert said.choices[0].message.content
        assert globex.embeddings.create(model="embed", input=question).data[0].embedding
        with pytest.raises(openai.NotFoundError) as chats:
            globex.chat.completions.create(model="chat-fast", messages=[{"role": "user", "content": question}])
        with pytest.raises(openai.NotFoundError) as embeds:
            acme.embeddings.create(model="embed", input=question)
    assert [error.value.code for error in (chats, embeds)] == ["model_not_found"] * 2
    assert [gateway.status(key) for key in (None, create_key())] == [401, 401]


def test_each_tenant_sees_and_uses_its_own_models_over_grpc(gateway: Keyed) -> None:
    acme, globex = ({"authorization": f"Bearer {key}"} for key in (ACME, GLOBEX))
    with closing(tritonclient.grpc.InferenceServerClient(gateway.grpc_target)) as client:
        assert {row.name for row in client.get_model_repository_index(headers=globex).models} == {"embed"}
        asked = {"parameters": {"max_tokens": 8}, "client_timeout": WAKING_SECONDS}
        said = client.infer("chat-fast", text_input(), headers=acme, **asked)
        assert said.as_numpy("text_output")[0]
        with pytest.raises(tritonclient.grpc.InferenceServerException) as hidden:
            client.infer("chat-fast", text_input(), headers=globex, **asked)
        with pytest.raises(tritonclient.grpc.InferenceServerException) as keyless:
            client.infer("chat-fast", text_input(), **asked)
    assert hidden.value.status() == "StatusCode.NOT_FOUND"
    assert keyless.value.status() == "StatusCode.UNAUTHENTICATED"


def test_an_instance_of_a_tenants_own_is_there_for_that_tenant_alone(gateway: Keyed) -> None:
    question: dict[str, Any] = {"model": OWN_MODEL, "messages": [{"role": "user", "content": "Whose are you?"}]}
    with gateway.client(ACME) as acme, gateway.client(GLOBEX) as globex:
        said = acme.chat.completions.create(**question)
        assert said.choices[0].message.content == "acme's own, for acme"
        assert {model.id for model in globex.models.list()} == {"embed"}
        with pytest.raises(openai.NotFoundError):
            globex.chat.completions.create(**question)


def test_a_key_that_the_secret_gains_is_in_force_and_one_that_it_loses_is_not_without_a_restart(
    gateway: Keyed,
) -> None:
    before = pod()
    assert [gateway.status(key) for key in (GLOBEX, LATER)] == [200, 401]
    kubectl.apply([tenants(second=LATER)])

    def in_force() -> bool:
        at = str(pod()["metadata"]["resourceVersion"])
        kubectl.kubectl(
            "--namespace", NAMESPACE, "annotate", "pod", before["metadata"]["name"], f"seen={at}", "--overwrite"
        )
        return gateway.status(LATER) == 200

    eventually("the new key is in force", in_force, SYNC_SECONDS, every=1)
    assert [gateway.status(key) for key in (ACME, GLOBEX)] == [200, 401]
    after = pod()
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["status"]["containerStatuses"][0]["restartCount"] == 0


def test_the_logs_of_the_gateway_have_no_key(gateway: Keyed) -> None:
    logs = kubectl.kubectl("--namespace", NAMESPACE, "logs", f"deployment/{NAME}")
    assert "tenants read" in logs
    assert [key for key in (ACME, GLOBEX, LATER) if key in logs] == []
