"""A new version of a service comes, is tried on a part of the requests and goes again, without a failed request."""

from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from tests.cluster.client import Cluster
from tests.cluster.load import load, outcome
from tools.cluster.kubernetes import kubectl
from tools.cluster.machine.layout import INGRESS_ADDRESS
from tools.cluster.machine.shell import eventually
from tools.cluster.platform.dev_overlay import NAMESPACE

pytestmark = pytest.mark.cluster

SPACE = "switchyard-test-rollout"
NAME = "steady"
READY_SECONDS = 120
# Answers with its version; slowly enough that requests are in flight whenever something changes.
PROGRAM = """
import http.server, os, signal, threading, time
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        time.sleep(0.05)
        body = os.environ["VERSION"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *ignored): pass
server = http.server.ThreadingHTTPServer(("", 8080), Answer)
signal.signal(signal.SIGTERM, lambda *ignored: threading.Thread(target=server.shutdown).start())
server.serve_forever()
"""


def service(version: str, image: str, **predictor: object) -> kubectl.Document:
    """An InferenceService that answers ``version``."""
    container = {
        "name": "kserve-container",
        "image": image,
        "command": ["python", "-c", PROGRAM],
        "env": [{"name": "VERSION", "value": version}],
        "ports": [{"containerPort": 8080, "protocol": "TCP"}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "128Mi"}},
    }
    annotations = {"serving.kserve.io/deploymentMode": "Knative"}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": NAME, "namespace": SPACE, "annotations": annotations},
        "spec": {"predictor": {"minReplicas": 1, "maxReplicas": 1, "containers": [container], **predictor}},
    }


@pytest.fixture
def image(cluster: Cluster) -> Iterator[str]:
    """An image with Python that is on the node, and a namespace for what runs it."""
    deployment = kubectl.get("deployment", "gateway", "--namespace", NAMESPACE)
    with kubectl.namespace(SPACE):
        yield deployment["spec"]["template"]["spec"]["containers"][0]["image"]


def ask(client: httpx.Client) -> str:
    """One request through the front of the networking layer: the version that answered, or a rejection."""
    answer = client.get("/", headers={"Host": f"{NAME}-predictor.{SPACE}.example.com"})
    return answer.text if answer.status_code == 200 else f"{answer.status_code} {answer.text}"


def versions(client: httpx.Client, requests: int = 60) -> Counter[str]:
    return Counter(outcome(ask, client) for _ in range(requests))


def percentages() -> dict[str, int]:
    """The part of the requests of each target of the route."""
    status = kubectl.get("service.serving.knative.dev", f"{NAME}-predictor", "--namespace", SPACE)["status"]
    traffic = status.get("traffic", ())
    return {("latest" if one.get("latestRevision") else "prev"): one.get("percent", 0) for one in traffic}


def test_a_canary_takes_its_part_is_stopped_and_promoted_without_a_failed_request(image: str) -> None:
    kubectl.apply([service("one", image)])
    url = f"http://{INGRESS_ADDRESS}"
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        eventually("version one", lambda: outcome(ask, client) == "one", READY_SECONDS)
        with load(url, ask, clients=2) as seen:
            kubectl.apply([service("two", image, canaryTrafficPercent=30)])
            eventually("a canary", lambda: percentages() == {"latest": 30, "prev": 70}, READY_SECONDS)
            eventually("its first answer", lambda: seen["two"] > 0, READY_SECONDS)
            split = versions(client)
            assert 5 <= split["two"] <= 35, split

            patch = '{"spec":{"predictor":{"canaryTrafficPercent":0}}}'
            named = ("inferenceservice", NAME, "--namespace", SPACE)
            kubectl.kubectl("patch", *named, "--type", "merge", "-p", patch)
            eventually("the canary stopped", lambda: versions(client, 20) == {"one": 20}, READY_SECONDS)

            kubectl.kubectl("patch", *named, "--type", "merge", "-p", patch.replace(":0}", ":null}"))
            eventually("version two alone", lambda: versions(client, 20) == {"two": 20}, READY_SECONDS)

            kubectl.apply([service("one", image)])  # what was, again: how a release is taken back
            eventually("version one again", lambda: versions(client, 20) == {"one": 20}, READY_SECONDS)
        assert seen.keys() == {"one", "two"}, seen
        assert seen.total() > 100
