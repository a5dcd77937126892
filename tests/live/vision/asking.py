"""How the tests ask the predictor."""

import io
import json
from typing import Any

import numpy as np
from PIL import Image

from tests.live.processes import fetch
from tests.live.vision.processes import Vision

BOUNDARY = "a-boundary"


def echo(vision: Vision, *values: float, model: str = "echo") -> tuple[int, Any]:
    tensor = {"name": "x", "datatype": "FP32", "shape": [len(values)], "data": values}
    status, body = fetch(f"{vision.url}/v2/models/{model}/infer", {"inputs": [tensor]})
    return status, json.loads(body)


def ask(client: Any, model: str, values: np.ndarray, name: str = "x", datatype: str = "FP32") -> Any:
    made, module = client
    tensor = module.InferInput(name, list(values.shape), datatype)
    tensor.set_data_from_numpy(values)
    return made.infer(model, [tensor])


def picture(color: str, kind: str = "PNG", size: tuple[int, int] = (40, 30)) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", size, color).save(data, kind)
    return data.getvalue()


def send(vision: Vision, path: str, body: bytes, kind: str, **headers: str) -> tuple[int, bytes]:
    return fetch(vision.url + path, raw=body, **{"content-type": kind, **headers})


def form(name: str, data: bytes, **fields: str) -> bytes:
    parts = [f'Content-Disposition: form-data; name="{name}"; filename="a.png"\r\n\r\n'.encode() + data]
    parts += [f'Content-Disposition: form-data; name="{key}"\r\n\r\n{value}'.encode() for key, value in fields.items()]
    return b"".join(f"--{BOUNDARY}\r\n".encode() + part + b"\r\n" for part in parts) + f"--{BOUNDARY}--\r\n".encode()
