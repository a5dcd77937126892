"""Pods under measurement: when each step of a start was seen, what a container logged, and its processes."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from benchmarks.processes import Tree
from tools.cluster.kubernetes import kubectl
from tools.cluster.machine.layout import ADMIN_KUBECONFIG
from tools.cluster.machine.shell import eventually
from tools.cluster.platform.dev_overlay import NAMESPACE
from tools.cluster.software import images

MODEL_CONTAINER = "kserve-container"
QUEUE_CONTAINER = "queue-proxy"
_GONE_SECONDS = 120  # idle time, Knative's half a minute of draining, and the predictor's own end

Document = dict[str, Any]


def now() -> float:
    """Seconds since boot, the clock that processes' beginnings are told in."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A pod as the API server showed it at ``at`` (seconds since boot); its own times are whole seconds."""

    at: float
    pod: Document

    @property
    def scheduled(self) -> bool:
        return bool(self.pod["spec"].get("nodeName"))

    @property
    def ready(self) -> bool:
        conditions = self.pod["status"].get("conditions", [])
        return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


class Watch:
    """What a ``kubectl get --watch`` has shown so far."""

    def __init__(self, lines: IO[str]) -> None:
        self._lines = lines
        self._seen: list[Sighting] = []
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def of(self, name: str) -> list[Sighting]:
        """How the pod ``name`` was seen, the oldest first."""
        with self._lock:
            return [one for one in self._seen if one.pod["metadata"]["name"] == name]

    def ended(self) -> None:
        """Returns when the watch has ended."""
        self._reader.join()

    def _read(self) -> None:
        for at, pod in documents(self._lines):
            with self._lock:
                self._seen.append(Sighting(at, pod))


def documents(lines: Iterator[str] | IO[str]) -> Iterator[tuple[float, Document]]:
    """The documents that kubectl prints one after the other, each with when its last line came."""
    text = ""
    for line in lines:
        text += line
        if line.rstrip("\n") == "}":  # of all braces only a document's last stands at the margin
            yield now(), json.loads(text)
            text = ""


@contextmanager
def watching(selector: str) -> Iterator[Watch]:
    """Follows the pods that match ``selector`` from now on."""
    kubectl.check_ours()
    argv = ["kubectl", "get", "pods", "--namespace", NAMESPACE, "--selector", selector, "--watch-only", "--output=json"]
    env = dict(os.environ, KUBECONFIG=str(ADMIN_KUBECONFIG))
    with subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        watch = Watch(process.stdout)
        try:
            yield watch
        finally:
            process.terminate()
            watch.ended()


def pods(selector: str, namespace: str = NAMESPACE) -> list[Document]:
    """The pods that match and may have processes: Knative's end half a minute after they left their Service.

    One that was evicted stays as an object, without any.
    """
    found: list[Document] = kubectl.get("pods", "--namespace", namespace, "--selector", selector)["items"]
    return [pod for pod in found if pod["status"]["phase"] not in ("Failed", "Succeeded")]


def serving(selector: str, namespace: str = NAMESPACE) -> Document:
    """The one pod that matches and is not on its way out.

    Raises:
        RuntimeError: there is none, or there are several.
    """
    found = [pod for pod in pods(selector, namespace) if "deletionTimestamp" not in pod["metadata"]]
    if len(found) != 1:
        raise RuntimeError(f"{len(found)} pods of {selector}, not one: does something else use the cluster now?")
    return found[0]


def wait_gone(selector: str) -> None:
    """Returns when no process of a pod that matches is left to take processor time from what is measured next."""
    eventually(f"no pod of {selector}", lambda: not pods(selector), _GONE_SECONDS, every=1.0)


def container(pod: Document, name: str) -> Document:
    """A container of the pod's description."""
    found: Document = next(one for one in pod["spec"]["containers"] if one["name"] == name)
    return found


def settings(described: Document) -> dict[str, str]:
    """What the ConfigMaps of a container's ``envFrom`` hold."""
    names = [source["configMapRef"]["name"] for source in described.get("envFrom", []) if "configMapRef" in source]
    merged: dict[str, str] = {}
    for name in names:
        merged |= kubectl.get("configmap", name, "--namespace", NAMESPACE).get("data", {})
    return merged


def log(pod: Document, name: str) -> str:
    """What a container has written so far."""
    metadata = pod["metadata"]
    return kubectl.kubectl("logs", metadata["name"], "--namespace", metadata["namespace"], "--container", name)


def processes(*running: Document) -> dict[str, Tree]:
    """The processes of the pods' containers, by the containers' names: the node is this machine."""
    started = {row.split()[0]: int(row.split()[1]) for row in images.ctr("tasks", "list").splitlines()[1:]}
    statuses: Sequence[Mapping[str, Any]] = [one for pod in running for one in pod["status"]["containerStatuses"]]
    return {one["name"]: Tree(started[one["containerID"].removeprefix("containerd://")]) for one in statuses}


def beginning(process: Tree) -> float:
    """When its first process began, in seconds since boot (proc(5): field 22 of stat, in clock ticks)."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")
