"""A real Prometheus that reads the cluster by what a real prometheus-operator makes of the objects in it.

The operator runs on the host and writes the configuration of a Prometheus object without pods; the host's Prometheus,
which reaches every pod, takes it: only files lie elsewhere, targets are found by ./discovery.py, and it scrapes every
two seconds.
"""

import base64
import gzip
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import yaml

from tests.cluster import discovery
from tests.ports import free_port
from tools.cluster.kubernetes import kubectl
from tools.cluster.kubernetes.kubectl import Document
from tools.cluster.machine.layout import API_SERVER, PKI
from tools.cluster.machine.shell import eventually
from tools.cluster.software import programs

NAMESPACE, NAME = "monitoring", "switchyard-test"
SECONDS = 60.0
_OF_POD = {"SHARD": "0", "POD_NAME": "prometheus-0"}  # what the operator's reloader puts into the configuration
_EVERYTHING: Document = {}  # what an empty selector selects
_MONITORS = {"podmonitors": ("podMonitor", "podMetricsEndpoints"), "servicemonitors": ("serviceMonitor", "endpoints")}


class Prometheus:
    """Questions to the running Prometheus."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=30, trust_env=False)

    def close(self) -> None:
        self._client.close()

    def ready(self) -> bool:
        try:
            return self._client.get("/-/ready").status_code == 200
        except httpx.TransportError:
            return False

    def ask(self, path: str, **parameters: object) -> Any:
        """The data of an answer of the API.

        Raises:
            AssertionError: it says that something is wrong.
        """
        answer = self._client.get(f"/api/v1/{path}", params={key: str(value) for key, value in parameters.items()})
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def up(self) -> dict[str, set[float]]:
        """The values of ``up`` by job."""
        found: dict[str, set[float]] = {}
        for row in self.ask("query", query="up")["result"]:
            found.setdefault(row["metric"]["job"], set()).add(float(row["value"][1]))
        return found

    def targets(self) -> list[Document]:
        found: list[Document] = self.ask("targets", state="active")["activeTargets"]
        return found


def expected_jobs() -> set[str]:
    """The jobs that the operator makes of every monitor in the cluster, by its names for them."""
    return {
        f"{prefix}/{one['metadata']['namespace']}/{one['metadata']['name']}/{number}"
        for kind, (prefix, endpoints) in _MONITORS.items()
        for one in kubectl.get(f"{kind}.monitoring.coreos.com", "-A")["items"]
        for number in range(len(one["spec"][endpoints]))
    }


@contextmanager
def watching(folder: Path) -> Iterator[Prometheus]:
    """Prometheus, by what the operator made of the cluster's objects."""
    objects = _objects()
    kubectl.apply(objects)
    try:
        with _running("operator", _operator(), folder):
            eventually("the operator's configuration", lambda: expected_jobs() <= _jobs(), SECONDS, every=0.5)
            configuration, rules = _configuration(), _rules()
        port = free_port()
        with (
            discovery.serving() as targets,
            _running("prometheus", _prometheus(configuration, rules, targets, folder, port), folder) as process,
        ):
            found = Prometheus(f"http://127.0.0.1:{port}")
            eventually("Prometheus", lambda: process.poll() is not None or found.ready(), SECONDS)
            assert process.poll() is None, (folder / "prometheus.log").read_text()[-3000:]
            with closing(found):
                yield found
    finally:
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        kubectl.kubectl("delete", "--wait=false", "--ignore-not-found", "-f", "-", text=text)


def _objects() -> list[Document]:
    """A Prometheus that takes every monitor and rule, and an account with kube-prometheus's right to read metrics."""
    prometheus = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "Prometheus",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "replicas": 0,
            "version": "v2.42.0",  # Debian's
            "serviceAccountName": NAME,
            **{f"{kind}Selector": _EVERYTHING for kind in ("podMonitor", "serviceMonitor", "rule")},
            **{f"{kind}NamespaceSelector": _EVERYTHING for kind in ("podMonitor", "serviceMonitor", "rule")},
        },
    }
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME, "namespace": NAMESPACE}}
    rbac = "rbac.authorization.k8s.io"
    role = {
        "apiVersion": f"{rbac}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": NAME},
        "rules": [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}],
    }
    binding = {
        "apiVersion": f"{rbac}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": NAME},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": NAME},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}],
    }
    return [account, role, binding, prometheus]


def _operator() -> list[str]:
    admin = {"cert-file": PKI / "admin.crt", "key-file": PKI / "admin.key", "ca-file": PKI / "ca.crt"}
    listen = f"--web.listen-address=127.0.0.1:{free_port()}"
    flags = [f"--{name}={path}" for name, path in admin.items()]
    return [str(programs.PROMETHEUS_OPERATOR.path), f"--apiserver={API_SERVER}", listen, *flags]


def _configuration() -> Document:
    """What the operator wrote; empty while it has not."""
    found = kubectl.get("secret", f"prometheus-{NAME}", "--namespace", NAMESPACE)
    text = gzip.decompress(base64.b64decode(found["data"]["prometheus.yaml.gz"])).decode()
    for variable, value in _OF_POD.items():
        text = text.replace(f"$({variable})", value)
    read: Document = yaml.safe_load(text) or {}
    return read


def _jobs() -> set[str]:
    return {job["job_name"] for job in _configuration().get("scrape_configs") or ()}


def _rules() -> dict[str, str]:
    """The rule files that the operator wrote: those whose rules it holds to be valid."""
    found = kubectl.get("configmaps", "--namespace", NAMESPACE, "--selector", f"prometheus-name={NAME}")["items"]
    return {name: text for one in found for name, text in one["data"].items()}


def _prometheus(configuration: Document, rules: dict[str, str], targets: str, folder: Path, port: int) -> list[str]:
    token = folder / "token"
    token.write_text(kubectl.kubectl("create", "token", NAME, "--namespace", NAMESPACE).strip())
    for name, text in rules.items():
        (folder / "rules").mkdir(exist_ok=True)
        (folder / "rules" / name).write_text(text)
    for job in configuration["scrape_configs"]:
        job |= {"scrape_interval": "2s", "scrape_timeout": "2s"}
        job["http_sd_configs"] = [_found_at(targets, one) for one in job.pop("kubernetes_sd_configs")]
        if "bearer_token_file" in job:
            job["bearer_token_file"] = str(token)
    configuration |= {"rule_files": [f"{folder}/rules/*.yaml"], "alerting": {}}
    configuration["global"] |= {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "5s"}
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
    found = shutil.which("prometheus")
    assert found, "prometheus is not on PATH: `make setup` installs it"
    listen = f"--web.listen-address=127.0.0.1:{port}"
    return [found, f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/data", listen]


def _found_at(targets: str, asked: Document) -> Document:
    """What finds over HTTP what ``asked`` would find by itself."""
    query = [("role", asked["role"]), *(("namespace", name) for name in asked.get("namespaces", {}).get("names", ()))]
    return {"url": f"{targets}/?{urlencode(query)}", "refresh_interval": "2s"}


@contextmanager
def _running(name: str, command: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()
