"""Triton with the vision predictor before it, as a pod of the vision service runs them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Command, Tree, free_port

IDENTITY_CONFIG = """\
backend: "python"
max_batch_size: 0
input { name: "INPUT" data_type: TYPE_FP32 dims: [ -1 ] }
output { name: "OUTPUT" data_type: TYPE_FP32 dims: [ -1 ] }
"""
IDENTITY_MODEL = """\
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [
            pb_utils.InferenceResponse(
                [pb_utils.Tensor("OUTPUT", pb_utils.get_input_tensor_by_name(request, "INPUT").as_numpy())]
            )
            for request in requests
        ]
"""


@dataclass(frozen=True, kw_only=True)
class Pod:
    """Where both containers listen, as ``host:port``, and their processes."""

    triton_http: str
    triton_grpc: str
    http: str
    grpc: str
    predictor: Tree
    triton: Tree


def write_identity(repository: Path, name: str) -> None:
    """Puts a model that answers with what it gets into ``repository``."""
    version = repository / name / "1"
    version.mkdir(parents=True)
    (version / "model.py").write_text(IDENTITY_MODEL)
    (repository / name / "config.pbtxt").write_text(IDENTITY_CONFIG)


@contextmanager
def pod(repository: Path, folder: Path) -> Iterator[Pod]:
    """Starts both containers on ``repository``; logs go to ``folder``."""
    ports = {name: free_port() for name in ("triton_http", "triton_grpc", "triton_metrics", "http", "grpc")}
    at = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    listen = [
        f"--{name}-{what}={value}"
        for name in ("http", "grpc", "metrics")
        for what, value in (("address", "127.0.0.1"), ("port", ports[f"triton_{name}"]))
    ]
    server = [str(Path(sys.executable).with_name("tritonserver")), f"--model-repository={repository}"]
    triton = Command(
        [*server, "--model-control-mode=explicit", "--disable-auto-complete-config", *listen], folder / "triton.log"
    )
    argv = [sys.executable, "-m", "predictors.vision", "--model_name=vision"]
    argv += [f"--http_port={ports['http']}", f"--grpc_port={ports['grpc']}"]
    argv += [f"--{name}={at[name]}" for name in ("triton_http", "triton_grpc", "triton_metrics")]
    argv.append(f"--model_repository={repository}")
    predictor = Command(argv, folder / "predictor.log", {"HOST": "127.0.0.1"})
    try:
        predictor.wait_for(f"http://{at['http']}/v2/health/ready")
        yield Pod(
            triton_http=at["triton_http"],
            triton_grpc=at["triton_grpc"],
            http=at["http"],
            grpc=at["grpc"],
            predictor=predictor.tree,
            triton=triton.tree,
        )
    finally:
        predictor.stop()
        triton.stop()
