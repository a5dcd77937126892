"""The models of these benchmarks: an ONNX network of 10 MB that says which content it is, and the chat model."""

import json
import shutil
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.processes import ROOT

WIDTH = 1600  # 1600 x 1600 weights of 4 bytes are 10 MB
CHAT = ROOT / "model-repository/llm/chat-fast"


def write_onnx(folder: Path, number: int) -> Path:
    """Write a network that adds ``number`` to its input's mean; the folder has nothing but ``1/model.onnx``."""
    weights = np.full((WIDTH, WIDTH), 1 / WIDTH, dtype=np.float32)
    nodes = [
        helper.make_node("MatMul", ["x", "weights"], ["means"]),
        helper.make_node("Add", ["means", "number"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "means",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", WIDTH])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", WIDTH])],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([number], dtype=np.float32), "number"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / "1").mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder / "1/model.onnx")
    return folder


def write_chat(folder: Path) -> Path:
    """Write our chat model of a million parameters."""
    shutil.copytree(CHAT, folder)
    return folder


def ask_onnx(url: str, name: str) -> float | None:
    """Return the number of the content that responds; None while none does."""
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, WIDTH], "data": [0.0] * WIDTH}
    response = _post(f"{url}/v2/models/{name}/infer", {"inputs": [tensor]})
    return None if response is None else float(response["outputs"][0]["data"][0])


def ask_chat(url: str, name: str) -> bool:
    """Return whether the model responds."""
    message = {"role": "user", "content": "hello"}
    body = {"model": name, "messages": [message], "max_tokens": 1}
    return _post(f"{url}/v1/chat/completions", body) is not None


def _post(url: str, body: object) -> "dict[str, list[dict[str, list[float]]]] | None":
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return dict(json.load(response))
    except (OSError, ValueError):  # not there, not ready, or its connection ended
        return None
