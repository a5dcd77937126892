"""Graphs that are made to cost whoever reads them, and what a device changes."""

from pathlib import Path

import pytest
from onnx import ModelProto, TensorProto, helper

from switchyard.repository.inspection import Device
from switchyard.repository.triton.graphs import graph as reading
from switchyard.repository.verdict import Fault, FaultCode
from tests.switchyard.repository.triton.folders import CONFIG, graph, judged, write


def fault(folder: Path, content: bytes) -> Fault:
    return judged(write(folder / "digits", {"1/model.onnx": content})).faults[0]


def nested(depth: int) -> bytes:
    """A graph whose node has a graph, whose node has a graph …; written by hand, for the library has an end too."""
    inner = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [], []).SerializeToString()
    for _ in range(depth):
        inner = _field(1, _field(4, b"If") + _field(5, _field(6, inner)))  # node, op_type, attribute, g of onnx.proto
    return graph() + _field(7, inner)


def _field(number: int, value: bytes) -> bytes:
    size, length = b"", len(value)
    while length > 127:
        size, length = size + bytes([length & 127 | 128]), length >> 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + value


def test_graphs_within_graphs_are_read_as_deep_as_people_nest_them(tmp_path: Path) -> None:
    model = ModelProto.FromString(nested(8))
    model.graph.node[-1].attribute[0].g.node[0].op_type = "Iff"
    assert "'Iff', which ONNX does not have" in fault(tmp_path, bytes(model.SerializeToString())).message


def test_graphs_that_are_nested_without_end_are_not_read(tmp_path: Path) -> None:
    assert fault(tmp_path, nested(60)).code is FaultCode.INCOMPLETE


def test_a_graph_of_many_nodes_is_not_looked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_NODES", 10)
    model = ModelProto.FromString(nested(1))
    for _ in range(9):
        model.graph.node[1].attribute[0].g.node.add(op_type="Identity")
    found = fault(tmp_path, bytes(model.SerializeToString()))
    assert (found.code, "more than 10 nodes" in found.message) == (FaultCode.TOO_LARGE, True)


def test_what_an_initializer_announces_is_not_reserved(tmp_path: Path) -> None:
    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1 << 40, 1 << 20])
    inspection = judged(write(tmp_path / "digits", {"1/model.onnx": graph(initializer=[weights])}))
    assert inspection.facts is not None  # what is wrong with it, its one run says
    assert inspection.facts.memory.weights < 1000


def test_a_graph_of_more_than_two_gigabytes_is_not_opened(tmp_path: Path) -> None:
    folder = write(tmp_path / "digits", {"1/model.onnx": ""})
    with (folder / "1" / "model.onnx").open("wb") as file:
        file.truncate(1 << 31)
    found = judged(folder).faults[0]
    assert (found.code, found.file) == (FaultCode.TOO_LARGE, "1/model.onnx")


def test_a_gpu_is_asked_for_where_there_is_one(tmp_path: Path) -> None:
    config = CONFIG + "instance_group { kind: KIND_GPU }"
    folder = write(tmp_path / "digits", {"config.pbtxt": config, "1/model.onnx": graph()})
    assert judged(folder).faults[0].code is FaultCode.CONFIG
    assert judged(folder, device=Device(kind="cuda", compute_capability=(9, 0))).faults == ()
