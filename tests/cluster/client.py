"""The running dev overlay as its users and its operators see it."""

import json
import time
from dataclasses import dataclass
from typing import Any

import httpx

from tools.cluster.kubernetes import kubectl
from tools.cluster.machine.shell import eventually
from tools.cluster.platform.dev_overlay import NAMESPACE

SERVICES = ("chat-fast", "chat-reasoning", "complexity", "embed", "vision")
READY_SECONDS = 300
WAKING_SECONDS = 240
ASLEEP_SECONDS = 120

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """A streamed chat: what was held open before it, and what it said."""

    heartbeats: int
    text: str
    first_seconds: float
    finish: str


class Cluster:
    """What tests ask of the cluster."""

    def __init__(self) -> None:
        kubectl.check_ours()
        address = kubectl.get("service", "gateway", "--namespace", NAMESPACE)["spec"]["clusterIP"]
        self.url, self.grpc_target = f"http://{address}:8000", f"{address}:8001"

    def wait_ready(self) -> None:
        """Wait until the services and the graph are Ready, whether they sleep or not."""
        for name in SERVICES:
            self.wait_condition("inferenceservice", name, READY_SECONDS)
        self.wait_condition("inferencegraph", "auto", READY_SECONDS)

    def wait_condition(self, kind: str, name: str, seconds: float, condition: str = "Ready") -> None:
        """Wait for a condition of an object in the overlay's namespace."""
        waiting = ("wait", f"--for=condition={condition}", f"{kind}/{name}", f"--timeout={seconds:.0f}s")
        kubectl.kubectl("--namespace", NAMESPACE, *waiting, seconds=seconds + 10)

    def client(self) -> httpx.Client:
        """A client of the gateway that waits as long as a model takes to wake."""
        return httpx.Client(base_url=self.url, timeout=WAKING_SECONDS, trust_env=False)

    def models(self) -> dict[str, Document]:
        """The gateway's list of models by name."""
        with self.client() as client:
            rows = client.get("/v1/models").raise_for_status().json()["data"]
        return {row["id"]: row for row in rows}

    def pods(self, selector: str) -> list[Document]:
        """The pods that match and neither have ended nor are on their way out.

        Knative's leave half a minute after their last request; those that the kubelet evicted stay, as a record.
        """
        alive = "status.phase!=Failed,status.phase!=Succeeded"
        found = kubectl.get("pods", "--namespace", NAMESPACE, "--selector", selector, f"--field-selector={alive}")[
            "items"
        ]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def wait_asleep(self, *services: str) -> None:
        """Wait until none of ``services`` has a pod and the gateway knows that they sleep."""
        names = ",".join(services)
        selector = f"serving.kserve.io/inferenceservice in ({names})"
        eventually(f"{names} at zero", lambda: not self.pods(selector), ASLEEP_SECONDS, every=0.5)
        eventually("the gateway sees it", lambda: self._seen_asleep(services), 15, every=0.5)

    def _seen_asleep(self, services: tuple[str, ...]) -> bool:
        rows = self.models()  # without the graph's step and the vision service, which are no models
        return all(rows[name]["state"] == "asleep" for name in services if name in rows)

    def chat(self, model: str, question: str = "What is 2 + 3?", tokens: int = 16) -> Answer:
        """Ask for a stream and read it to its end."""
        began = time.monotonic()
        heartbeats, text, finish, first = 0, "", "", 0.0
        asked = {
            "model": model,
            "stream": True,
            "max_tokens": tokens,
            "messages": [{"role": "user", "content": question}],
        }
        with self.client() as client, client.stream("POST", "/v1/chat/completions", json=asked) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines():
                if line.startswith(":"):
                    heartbeats += 1
                elif line.startswith("data: {"):
                    first = first or time.monotonic() - began
                    row = json.loads(line.removeprefix("data: "))
                    assert "error" not in row, row
                    for choice in row["choices"]:
                        text += choice["delta"].get("content") or ""
                        finish = choice.get("finish_reason") or finish
                elif line:
                    assert line == "data: [DONE]", line
        return Answer(heartbeats, text, first, finish)
