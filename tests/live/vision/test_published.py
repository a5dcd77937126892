"""What is published is served with no restart: a repository of links, in front of the same Triton as all others."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from tritonclient.utils import InferenceServerException

from tests.live.processes import eventually, fetch
from tests.live.test_triton_models import onnx_model
from tests.live.vision.asking import ask, echo
from tests.live.vision.processes import Triton, Vision, publish, write_echo

pytestmark = pytest.mark.live

SECONDS = 30.0
ENSEMBLE = """\
platform: "ensemble"
input { name: "x" data_type: TYPE_FP32 dims: [-1] }
output { name: "y" data_type: TYPE_FP32 dims: [-1] }
ensemble_scheduling {
  step [{
    model_name: "%s"
    model_version: -1
    input_map { key: "x" value: "x" }
    output_map { key: "y" value: "y" }
  }]
}
"""


def publish_times(triton: Triton, tmp_path: Path, name: str, factor: int) -> None:
    """Publishes a model in Python that multiplies by ``factor``."""
    content = tmp_path / f"{name}-{factor}"
    write_echo(content, answer=f"values = given * {factor}")
    publish(triton.repository, name, content)


def times(vision: Vision, name: str) -> float:
    """By how much a model multiplies."""
    status, body = echo(vision, 1, model=name)
    assert status == 200, body
    return float(body["outputs"][0]["data"][0])


def await_times(vision: Vision, name: str, factor: int) -> None:
    eventually(lambda: times(vision, name) == factor, f"{name} multiplies by {factor}", SECONDS)


def rows(vision: Vision, name: str) -> list[dict[str, str]]:
    return [row for row in json.loads(fetch(f"{vision.url}/v2/repository/index", {})[1]) if row["name"] == name]


@contextmanager
def asked_all_the_time(vision: Vision, name: str, threads: int = 3) -> Iterator[list[float]]:
    """Asks a model without a pause; every response is a success."""
    ended, seen = Event(), list[float]()

    def ask() -> None:
        while not ended.is_set():
            seen.append(times(vision, name))

    with ThreadPoolExecutor(threads) as pool:
        asking = [pool.submit(ask) for _ in range(threads)]
        try:
            yield seen
        finally:
            ended.set()
        for each in asking:
            each.result()


def test_new_content_of_a_model_takes_over_and_no_request_fails(vision: Vision, triton: Triton, tmp_path: Path) -> None:
    publish_times(triton, tmp_path, "swapped", 1)
    assert times(vision, "swapped") == 1
    with asked_all_the_time(vision, "swapped") as seen:
        for factor in (2, 3):
            publish_times(triton, tmp_path, "swapped", factor)
            await_times(vision, "swapped", factor)
    assert set(seen) == {1, 2, 3}
    assert seen[-1] == 3


def test_an_ensemble_goes_on_while_its_step_gets_new_content(vision: Vision, triton: Triton, tmp_path: Path) -> None:
    publish_times(triton, tmp_path, "inner", 1)
    (tmp_path / "outer" / "1").mkdir(parents=True)
    (tmp_path / "outer" / "config.pbtxt").write_text(ENSEMBLE % "inner")
    publish(triton.repository, "outer", tmp_path / "outer")
    assert times(vision, "outer") == 1
    with asked_all_the_time(vision, "outer") as seen:
        publish_times(triton, tmp_path, "inner", 2)
        eventually(lambda: 2 in seen, "answers by the new step", SECONDS)
    assert times(vision, "outer") == 2


def test_an_earlier_content_takes_over_too_whatever_the_times_of_its_files(
    vision: Vision, triton: Triton, tmp_path: Path
) -> None:
    # As a copy that keeps times leaves them: Triton loads anew what has newer ones, by its folders or its files.
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in "xy")
    tensors = 'input { name: "x" data_type: TYPE_FP32 dims: [-1] } output { name: "y" data_type: TYPE_FP32 dims: [-1] }'
    for factor in (1, 2):
        value = helper.make_tensor("c", TensorProto.FLOAT, [1], [factor])
        nodes = [helper.make_node("Constant", [], ["c"], value=value), helper.make_node("Mul", ["x", "c"], ["y"])]
        content = tmp_path / f"timeless-{factor}"
        onnx_model(content, nodes, [x], [y], tensors)
        for path in (content, *content.rglob("*")):
            os.utime(path, (1e9, 1e9))
    for factor in (1, 2, 1):
        publish(triton.repository, "timeless", tmp_path / f"timeless-{factor}")
        await_times(vision, "timeless", factor)


def test_content_that_triton_cannot_load_leaves_the_one_before_in_service(
    vision: Vision, triton: Triton, tmp_path: Path
) -> None:
    publish_times(triton, tmp_path, "kept", 1)
    assert times(vision, "kept") == 1
    write_echo(tmp_path / "broken", initialize='raise ValueError("the weights are missing")')
    with asked_all_the_time(vision, "kept") as seen:
        publish(triton.repository, "kept", tmp_path / "broken")
        eventually(lambda: "reason" in rows(vision, "kept")[0], "the reason in the index", SECONDS)
    (row,) = rows(vision, "kept")
    assert row["state"] == "READY"
    assert "ValueError: the weights are missing (1/model.py line 9)" in row["reason"]
    assert str(tmp_path) not in row["reason"]
    assert set(seen) == {1}
    publish_times(triton, tmp_path, "kept", 2)
    await_times(vision, "kept", 2)
    assert "reason" not in rows(vision, "kept")[0]


def test_a_model_whose_link_is_removed_is_unloaded_and_unknown_and_one_that_is_new_is_served_at_once(
    vision: Vision, triton: Triton, tmp_path: Path
) -> None:
    publish_times(triton, tmp_path, "leaving", 1)
    assert rows(vision, "leaving") == [{"name": "leaving", "version": "1"}]
    assert times(vision, "leaving") == 1
    (triton.repository / "leaving").unlink()
    eventually(lambda: echo(vision, 1, model="leaving")[0] == 404, "it is unknown", SECONDS)
    assert rows(vision, "leaving") == []
    ready = fetch(f"http://127.0.0.1:{triton.http}/v2/models/leaving/ready")[0]
    assert ready != 200
    publish_times(triton, tmp_path, "leaving", 2)
    assert times(vision, "leaving") == 2


def test_an_operators_config_lasts_until_the_next_load(client: Any, vision: Vision, triton: Triton) -> None:
    made, _ = client
    sizes = np.ones((4, 3, 8, 6), np.float32)
    made.load_model("colors", config=json.dumps({"max_batch_size": 2}))
    with pytest.raises(InferenceServerException, match="must be <= 2"):
        ask(client, "colors", sizes, name="pixels")
    with pytest.raises(InferenceServerException, match="changes 'backend'"):
        made.load_model("colors", config=json.dumps({"backend": "onnxruntime"}))
    made.load_model("colors")
    assert ask(client, "colors", sizes, name="pixels").as_numpy("shares").shape == (4, 3)
