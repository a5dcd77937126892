"""A config.pbtxt against the graph that it describes."""

from typing import Any

import pytest

from predictors.vision.triton.backends.onnxruntime.onnx_graph import Graph, MismatchError, Tensor, check, graph_of


def tensor(name: str, *dims: int, onnx_type: str = "tensor(float)") -> Tensor:
    return Tensor(name=name, onnx_type=onnx_type, dims=dims)


GRAPH = Graph(inputs=(tensor("x", -1, 3, -1),), outputs=(tensor("y", -1, 10), tensor("z", -1, onnx_type="seq(map)")))


def described(name: str = "x", data_type: str = "TYPE_FP32", dims: tuple[int, ...] = (3, -1), **more: Any) -> Any:
    return {"name": name, "data_type": data_type, "dims": [str(size) for size in dims], **more}


def config(*inputs: Any, outputs: tuple[Any, ...] = (described("y", dims=(10,)),), batch: int = 8) -> dict[str, Any]:
    return {"max_batch_size": batch, "input": list(inputs), "output": list(outputs)}


def test_a_config_that_fits_is_accepted() -> None:
    check(config(described()), GRAPH)
    check(config(described(dims=(3, 5))), GRAPH)
    check(config(described(dims=(-1, 3, -1)), outputs=(described("y", dims=(-1, 10)),), batch=0), GRAPH)


def test_a_reshape_is_what_the_graph_sees() -> None:
    check(config(described(dims=(9,), reshape={"shape": ["3", "3"]})), GRAPH)


@pytest.mark.parametrize("reshape", [{"shape": []}, {}], ids=["empty", "left out"])
def test_scalars_of_a_batch_are_described_as_one_element_that_is_reshaped(reshape: dict[str, Any]) -> None:
    graph = Graph(inputs=(tensor("x", -1),), outputs=(tensor("y", -1),))
    x, y = (described(name, dims=(1,), reshape=reshape) for name in "xy")
    check(config(x, outputs=(y,)), graph)


def test_what_triton_adds_to_a_sequence_is_no_input_of_the_config() -> None:
    graph = Graph(inputs=(tensor("x", -1, 1), tensor("start", -1, 1)), outputs=(tensor("y", -1, 1),))
    given = config(described(dims=(1,)), outputs=(described("y", dims=(1,)),))
    with pytest.raises(MismatchError, match="does not have the graph's input 'start'"):
        check(given, graph)
    check({**given, "sequence_batching": {"control_input": [{"name": "start"}]}}, graph)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (config(described("pixels")), "names the input 'pixels', but the graph has the input 'x'"),
        (config(described(data_type="TYPE_UINT8")), "the type TYPE_UINT8, but the graph has TYPE_FP32"),
        (config(described(dims=(4, -1))), r"the dims \[4, -1\] behind the batch dimension, but .* \[-1, 3, -1\]"),
        (config(described(dims=(3,))), "but the graph has the shape"),
        (config(outputs=()), "does not have the graph's input 'x'"),
        (config(described(), outputs=(described("w"),)), "but the graph has the outputs 'y', 'z'"),
        (config(described(), outputs=(described("z"),)), "is a seq.*zipmap"),
    ],
)
def test_what_differs_is_named(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(MismatchError, match=sentence):
        check(wrong, GRAPH)


def test_a_graph_without_batch_dimension_cannot_batch() -> None:
    graph = Graph(inputs=(tensor("x", 1, 4),), outputs=(tensor("y", 1, 2),))
    with pytest.raises(MismatchError, match=r"has the fixed shape .* set max_batch_size: 0"):
        check(config(described(dims=(4,)), outputs=(described("y", dims=(2,)),)), graph)
    assert not graph.batches


def test_a_graph_of_lists_has_no_batch_dimension() -> None:
    assert not Graph(inputs=(tensor("x", -1),), outputs=(tensor("y", -1),)).batches


def test_names_of_free_dimensions_and_missing_ones_are_minus_one() -> None:
    class Node:
        name, type, shape = "x", "tensor(float)", ["batch", None, 3]

    class Session:
        def get_inputs(self) -> list[Node]:
            return [Node()]

        get_outputs = get_inputs

    graph = graph_of(Session())
    assert graph.inputs[0].dims == (-1, -1, 3)
    assert graph.batches
