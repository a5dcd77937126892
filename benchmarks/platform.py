"""The whole platform on this machine, from the local overlay, on ports of its own."""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.processes import ROOT, Tree, free_port

PARENT_MB = 250.0  # more than this at rest means that the preloaded parent has finished its imports

_OVERLAY = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [{base}]
patches:
  - target: {{kind: Deployment, name: gateway}}
    patch: |
      - {{op: replace, path: /spec/template/spec/containers/0/args/1, value: --http_port={http}}}
      - {{op: replace, path: /spec/template/spec/containers/0/args/2, value: --grpc_port={grpc}}}
      - {{op: replace, path: /spec/template/spec/containers/0/ports/0/containerPort, value: {http}}}
      - {{op: replace, path: /spec/template/spec/containers/0/ports/1/containerPort, value: {grpc}}}
  - target: {{kind: InferenceService, labelSelector: switchyard.dev/kind!=step}}
    patch: |
      - {{op: add, path: /spec/predictor/annotations/autoscaling.knative.dev~1window, value: {window}}}
"""


def write_overlay(folder: Path, *, http: int, grpc: int, window: str, of: str = "local") -> None:
    """An overlay with a gateway on these ports and models that sleep after ``window`` (a Go duration)."""
    base = os.path.relpath(ROOT / "kustomize" / "overlays" / of, folder.resolve())
    text = _OVERLAY.format(base=base, http=http, grpc=grpc, window=window)
    (folder / "kustomization.yaml").write_text(text)


@dataclass(frozen=True, kw_only=True)
class Platform:
    """A running ``switchyard up``; ``ready_seconds`` is what its gateway took to answer, ``up`` starts it again."""

    url: str
    ready_seconds: float
    supervisor: Tree
    up: Callable[[], object]
    state_folder: Path

    @property
    def control(self) -> str:
        """The supervisor's own address, another one after each start."""
        return str(json.loads((self.state_folder / "run.json").read_text())["control"])

    def state(self, model: str) -> str:
        with urllib.request.urlopen(f"{self.url}/v1/models/{model}", timeout=10) as answer:
            row: dict[str, Any] = json.load(answer)
        return str(row["state"])

    def row(self, service: str) -> dict[str, Any]:
        """What the supervisor says of a service: ``state``, ``phases`` of its last start in seconds, and more."""
        with urllib.request.urlopen(f"{self.control}/status", timeout=10) as answer:
            row: dict[str, Any] = json.load(answer)[service]
        return row


@contextmanager
def running(
    *arguments: str, preload: bool = True, window: str = "6s", of: str = "local", project: Path = ROOT
) -> Iterator[Platform]:
    """``switchyard up`` of an overlay with models that sleep after ``window``; stopped by ``switchyard down``.

    ``project`` has the folder ``model-repository``; ``arguments`` are more of the command's.
    """
    switchyard = str(Path(sys.executable).with_name("switchyard"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        http = free_port()
        write_overlay(folder, http=http, grpc=free_port(), window=window, of=of)
        paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        env = dict(os.environ, SWITCHYARD_STATE_DIR=str(folder / "state"), PYTHONPATH=paths)
        command = [switchyard, "up", str(folder), "--detach", *arguments, *([] if preload else ["--no-preload"])]
        began = time.monotonic()
        subprocess.run(command, env=env, cwd=project, check=True, stdout=subprocess.DEVNULL)
        seconds = time.monotonic() - began
        try:
            run = json.loads((folder / "state" / "run.json").read_text())
            yield Platform(
                url=f"http://127.0.0.1:{http}",
                ready_seconds=seconds,
                supervisor=Tree(int(run["supervisor"]["pid"])),
                up=partial(subprocess.run, command, env=env, cwd=project, check=True, stdout=subprocess.DEVNULL),
                state_folder=folder / "state",
            )
        finally:
            subprocess.run([switchyard, "down"], env=env, cwd=project, check=True, stdout=subprocess.DEVNULL)


def preloaded(running: Platform) -> bool:
    """Whether the preloaded parent has stopped importing: it is large, and uses no processor."""
    before = running.supervisor.cpu_ms()
    time.sleep(0.5)
    return running.supervisor.pss_mb() > PARENT_MB and running.supervisor.cpu_ms() - before < 50
