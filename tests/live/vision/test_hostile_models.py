"""What a model that somebody dropped in does against the machine that runs it: it learns keys, or never ends."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from onnx import TensorProto, helper

from tests.live.processes import alive, descendants, eventually, fetch
from tests.live.vision.asking import echo
from tests.live.vision.processes import Triton, Vision, write_echo

pytestmark = pytest.mark.live

FOR_EVER = 1 << 62
TELLS = 'import os; raise pb_utils.TritonModelException(" ".join(map("=".join, os.environ.items())))'


def write_loop(folder: Path) -> None:
    """A model that counts up to its input."""
    number = {name: helper.make_tensor_value_info(name, TensorProto.INT64, [1]) for name in ("x", "y", "last", "next")}
    flag = {name: helper.make_tensor_value_info(name, TensorProto.BOOL, []) for name in ("true", "still")}
    one = helper.make_tensor("one", TensorProto.INT64, [1], [1])
    body = helper.make_graph(
        [helper.make_node("Add", ["last", "one"], ["next"]), helper.make_node("Identity", ["true"], ["still"])],
        "body",
        [helper.make_tensor_value_info("round", TensorProto.INT64, []), flag["true"], number["last"]],
        [flag["still"], number["next"]],
        [one],
    )
    zero = helper.make_tensor("zero", TensorProto.INT64, [1], [0])
    loop = helper.make_node("Loop", ["x", "", "zero"], ["y"], body=body)
    graph = helper.make_graph([loop], "loop", [number["x"]], [number["y"]], [zero])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / "1").mkdir(parents=True)
    (folder / "1/model.onnx").write_bytes(model.SerializeToString())
    (folder / "config.pbtxt").write_text(
        'backend: "onnxruntime"\ninput { name: "x" data_type: TYPE_INT64 dims: [1] }\n'
        'output { name: "y" data_type: TYPE_INT64 dims: [1] }\ninstance_group { count: 1 kind: KIND_CPU }\n'
    )


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Triton, Vision]]:
    """A Triton in a shell with a key, and with a short bound on a run."""
    folder = tmp_path_factory.mktemp("hostile")
    repository = folder / "models"
    write_loop(repository / "loop")
    write_echo(repository / "tells", initialize=TELLS)
    triton = Triton(repository, folder, RUN_SECONDS="1", AWS_SECRET_ACCESS_KEY="a-key\nLANG=b-key", LC_TIME="C")
    vision = Vision(triton, folder)
    yield triton, vision.wait_ready()
    vision.stop()
    triton.kill()


def count(vision: Vision, to: int) -> tuple[int, bytes]:
    tensor = {"name": "x", "datatype": "INT64", "shape": [1], "data": [to]}
    return fetch(f"{vision.url}/v2/models/loop/infer", {"inputs": [tensor]})


def processes(triton: Triton) -> list[psutil.Process]:
    return [one for one in map(psutil.Process, descendants(triton.process.pid)) if "/loop/" in " ".join(one.cmdline())]


def test_a_model_in_python_learns_no_key_of_the_shell(hostile: tuple[Triton, Vision]) -> None:
    _, vision = hostile
    status, body = echo(vision, 1, model="tells")
    assert status == 503
    assert "PATH=" in body["error"]
    assert "LC_TIME=C" in body["error"]
    assert "-key" not in body["error"]


def test_a_run_that_does_not_end_is_ended_and_the_model_serves_on(hostile: tuple[Triton, Vision]) -> None:
    triton, vision = hostile
    assert count(vision, 3)[0] == 200
    (process,) = processes(triton)
    status, body = count(vision, FOR_EVER)
    assert status == 500, body
    assert not alive(process.pid)
    eventually(lambda: count(vision, 3)[0] == 200, "it serves again")


def test_a_run_that_does_not_end_ends_with_its_model(hostile: tuple[Triton, Vision]) -> None:
    triton, vision = hostile
    eventually(lambda: count(vision, 3)[0] == 200, "it serves")
    (process,) = processes(triton)
    before = process.cpu_times().user
    with ThreadPoolExecutor(1) as pool:
        endless = pool.submit(count, vision, FOR_EVER)
        eventually(lambda: process.cpu_times().user > before + 0.3, "it runs")
        assert fetch(f"{vision.url}/v2/repository/models/loop/unload", {})[0] == 200
        assert endless.result(60)[0] != 200
    eventually(lambda: not alive(process.pid), "its process has ended")
