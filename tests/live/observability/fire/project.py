"""A project whose models are there to be broken, an overlay with tenants, and clients with their keys."""

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from benchmarks.tenancy.platform import tenant
from tests.live.observability.tenanted import add_tenants
from tests.live.platform import Platform
from tests.live.processes import DEADLINE, ROOT
from tests.live.vision.processes import write_echo
from tests.ports import free_port
from tests.switchyard.local import overlays
from tests.switchyard.local.overlays import Stub

LANGUAGE_MODEL = ROOT / "model-repository/llm/chat-fast"

_GRAPH = """\
apiVersion: serving.kserve.io/v1alpha1
kind: InferenceGraph
metadata:
  name: {name}
  labels: {{switchyard.dev/kind: graph}}
  annotations: {{serving.kserve.io/deploymentMode: Knative}}
spec:
  minReplicas: 1
  timeout: 60
  nodes:
    root: {root}
"""

# One whose only condition no body fulfils, and one whose step is a model without its folder.
PICKY = {
    "routerType": "Switch",
    "steps": [
        {
            "name": "never",
            "serviceUrl": "http://complexity-predictor.switchyard-local.svc.cluster.local",
            "condition": '[@this].#(nobody=="says this")',
        }
    ],
}
LOST = {
    "routerType": "Sequence",
    "steps": [{"name": "away", "serviceUrl": "http://embed-predictor.switchyard-local.svc.cluster.local"}],
}


Ask = Callable[[httpx.Client], object]


# They start in milliseconds: one that serves until it is killed, one that is never ready, one that ends at its start.
STUBS = (
    Stub(name="killed"),
    Stub(name="stuck", env={"STUB_LOAD_SECONDS": "3600"}, deadline="1200s"),
    Stub(name="unstartable", env={"STUB_EXIT": "3"}),
)


class Keys:
    """The secrets of the tenants of the file, and the file without and with a fault."""

    def __init__(self) -> None:
        budget = {"limit": "requests", "most": 2, "per": "day"}
        made = {name: tenant(name) for name in ("acme",)}
        made["saver"] = tenant("saver", [budget])
        made["operator"] = tenant("operator", roles=["admin"])
        self.secrets = {name: secret for name, (secret, _) in made.items()}
        jwks = f"http://127.0.0.1:{free_port()}/jwks"
        issuer = {"name": "login", "issuer": "https://login.example", "audience": "switchyard", "jwks_url": jwks}
        self.valid = {"tenants": [one for _, one in made.values()], "jwt": [issuer]}
        self.invalid = {**self.valid, "tennants": []}


def write(folder: Path, keys: Keys) -> Platform:
    """Write the project and its overlay into ``folder``."""
    repository = folder / "project/model-repository"
    for group in ("vision", "llm", "stubs/stub"):
        (repository / group).mkdir(parents=True)
    shutil.copytree(LANGUAGE_MODEL, repository / "llm/chat-fast")
    shutil.copytree(ROOT / "model-repository/complexity", repository / "complexity")
    # What models import is named there, so that one parent does it for all of them.
    (repository.parent / "predictors").symlink_to(ROOT / "predictors")
    platform = Platform(folder, window="600s", root=repository.parent)
    overlay = platform.overlay
    (overlay / "graphs.yaml").write_text(
        "---\n".join(
            _GRAPH.format(name=name, root=json.dumps(root)) for name, root in {"picky": PICKY, "lost": LOST}.items()
        )
    )
    (overlay / "stubs.yaml").write_text("\n---\n".join(map(json.dumps, _stubs())))
    add_tenants(overlay, keys.valid)
    file = overlay / "kustomization.yaml"
    file.write_text(file.read_text().replace("resources: [", "resources: [graphs.yaml, stubs.yaml, "))
    return platform


def _stubs() -> Iterator[dict[str, Any]]:
    yield overlays.runtime()
    for stub in STUBS:
        document = stub.document()
        del document["spec"]["predictor"]["model"]["envFrom"]
        yield document


def drop_vision_models(platform: Platform, elsewhere: Path) -> None:
    """Put models into the repository that are slow, that fail on each request, and that Triton cannot load.

    The last one reads a file ``elsewhere``, which the judge may not, and so does not hold against it.
    """
    folder = platform.root / "model-repository/vision"
    write_echo(folder / "sluggish", answer="time.sleep(0.5); values = given")
    write_echo(folder / "failing", answer="raise ValueError('it fails on purpose')")
    write_echo(folder / "unloadable", initialize=f"open({str(elsewhere)!r})")
    (folder / ".broken" / "1").mkdir(parents=True)
    (folder / ".broken" / "1" / "model.onnx").write_bytes(b"this is no model")
    (folder / ".broken").rename(folder / "broken")


class Clients:
    """``count`` clients in threads, each of which asks again once it has its response, until the block is left.

    None waits longer than ``seconds`` for a part of a response.
    """

    def __init__(self, url: str, key: str, count: int, ask: Ask, pause: float = 0.05, seconds: float = 60.0) -> None:
        self._seconds = seconds
        self._url, self._key, self._ask, self._pause = url, key, ask, pause
        self._leaving = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def leave(self) -> None:
        """Let none ask again; what waits for a response still does."""
        self._leaving.set()

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self.leave()
        for thread in self._threads:
            thread.join(DEADLINE)

    def _run(self) -> None:
        with client(self._url, self._key, self._seconds) as asking:
            while not self._leaving.wait(self._pause):
                try:
                    self._ask(asking)
                except httpx.TransportError:
                    continue  # what it asks is broken


def client(url: str, key: str, seconds: float) -> httpx.Client:
    """Return a client with a key; what a certificate of a test says is not its business."""
    headers = {"authorization": f"Bearer {key}"}
    return httpx.Client(base_url=url, headers=headers, timeout=seconds, trust_env=False, verify=False)


def chat(model: str, tokens: int = 8, *, stream: bool = True) -> Ask:
    """Return what asks ``model`` for a chat of ``tokens`` and reads it to its end."""
    message = {"role": "user", "content": "What is 17 plus 25?"}
    body = {"model": model, "messages": [message], "max_tokens": tokens, "ignore_eos": True, "stream": stream}

    def ask(asking: httpx.Client) -> object:
        with asking.stream("POST", "/v1/chat/completions", json=body) as response:
            return response.read()

    return ask


def make_key(asking: httpx.Client) -> object:
    """Make a key, which is an act that is written down."""
    return asking.post("/v1/organization/admin_api_keys", json={"name": "of a test"})


def infer(model: str) -> Ask:
    """Return what asks a vision model once."""
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}]}
    return lambda asking: asking.post(f"/v2/models/{model}/infer", json=body)
