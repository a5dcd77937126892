"""The inputs and outputs of an ONNX graph in Triton's terms, and whether a config.pbtxt agrees with them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DATA_TYPES: Mapping[str, str] = {
    "tensor(bool)": "TYPE_BOOL",
    "tensor(uint8)": "TYPE_UINT8",
    "tensor(uint16)": "TYPE_UINT16",
    "tensor(uint32)": "TYPE_UINT32",
    "tensor(uint64)": "TYPE_UINT64",
    "tensor(int8)": "TYPE_INT8",
    "tensor(int16)": "TYPE_INT16",
    "tensor(int32)": "TYPE_INT32",
    "tensor(int64)": "TYPE_INT64",
    "tensor(float16)": "TYPE_FP16",
    "tensor(float)": "TYPE_FP32",
    "tensor(double)": "TYPE_FP64",
    "tensor(string)": "TYPE_STRING",
}


class MismatchError(Exception):
    """The graph cannot be served as its config says; the message says what differs and what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tensor:
    """One input or output of the graph; ``dims`` has -1 where the size is free, the batch dimension included."""

    name: str
    onnx_type: str
    dims: tuple[int, ...]

    @property
    def data_type(self) -> str:
        """Triton's name of the element type.

        Raises:
            MismatchError: Triton has no such type (sequences, maps, bfloat16 …).
        """
        try:
            return DATA_TYPES[self.onnx_type]
        except KeyError:
            raise MismatchError(
                f"the graph's '{self.name}' is a {self.onnx_type}, which Triton cannot carry: export the model so that "
                "it is a plain tensor (skl2onnx: options={'zipmap': False})"
            ) from None


@dataclass(frozen=True, kw_only=True, slots=True)
class Graph:
    """The inputs and outputs of a model file."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    @property
    def batches(self) -> bool:
        """Whether the first dimension of every tensor is free, which is how ONNX shows a batch dimension.

        A second dimension is necessary: Triton describes the dimensions after the batch, and cannot describe none.
        """
        return all(tensor.dims[:1] == (-1,) and len(tensor.dims) > 1 for tensor in (*self.inputs, *self.outputs))


def graph_of(session: Any) -> Graph:
    """Return the graph of an ``onnxruntime.InferenceSession``."""
    return Graph(inputs=_tensors(session.get_inputs()), outputs=_tensors(session.get_outputs()))


def _tensors(nodes: Iterable[Any]) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(
            name=node.name,
            onnx_type=node.type,
            dims=tuple(size if isinstance(size, int) and size >= 0 else -1 for size in node.shape or ()),
        )
        for node in nodes
    )


def check(config: Mapping[str, Any], graph: Graph) -> None:
    """Compare a model's config (Triton's JSON form) with its graph.

    Raises:
        MismatchError: a name, an element type or a shape differs.
    """
    batched = config["max_batch_size"] > 0
    _check_side("input", config["input"], graph.inputs, batched)
    _check_side("output", config["output"], graph.outputs, batched)
    described = {tensor["name"] for tensor in config["input"]} | _controls(config)
    missing = [tensor.name for tensor in graph.inputs if tensor.name not in described]
    if missing:
        raise MismatchError(f"config.pbtxt does not have the graph's {_names('input', missing)}: add it")


def _controls(config: Mapping[str, Any]) -> set[str]:
    """Return the inputs that Triton itself adds to the requests of a sequence.

    https://github.com/triton-inference-server/server/blob/main/docs/user_guide/architecture.md#stateful-models
    """
    return {row["name"] for row in config.get("sequence_batching", {}).get("control_input", [])}


def _check_side(side: str, described: Sequence[Mapping[str, Any]], tensors: Sequence[Tensor], batched: bool) -> None:
    known = {tensor.name: tensor for tensor in tensors}
    for wanted in described:
        if wanted["name"] not in known:
            raise MismatchError(
                f"config.pbtxt names the {side} '{wanted['name']}', but the graph has the "
                f"{_names(side, [tensor.name for tensor in tensors])}"
            )
        _check_tensor(side, wanted, known[wanted["name"]], batched)


def _check_tensor(side: str, wanted: Mapping[str, Any], tensor: Tensor, batched: bool) -> None:
    if wanted["data_type"] != tensor.data_type:
        raise MismatchError(
            f"config.pbtxt gives {side} '{tensor.name}' the type {wanted['data_type']}, "
            f"but the graph has {tensor.data_type}"
        )
    # Triton leaves an empty shape out, which is that of a scalar: its config has dims of 1 in place of none.
    shape = wanted["reshape"].get("shape", []) if "reshape" in wanted else wanted["dims"]
    dims = [int(size) for size in shape]
    if batched and tensor.dims[:1] != (-1,):
        raise MismatchError(
            f"config.pbtxt sets a max_batch_size, but the graph's {side} '{tensor.name}' has the fixed shape "
            f"{list(tensor.dims)}: set max_batch_size: 0, or export the model with a free first dimension"
        )
    expected = [-1, *dims] if batched else dims
    fits = len(expected) == len(tensor.dims) and all(
        want in (-1, size) or size == -1 for want, size in zip(expected, tensor.dims, strict=True)
    )
    if not fits:
        note = " behind the batch dimension" if batched else ""
        raise MismatchError(
            f"config.pbtxt gives {side} '{tensor.name}' the dims {dims}{note}, but the graph has the shape "
            f"{list(tensor.dims)}"
        )


def _names(side: str, names: Sequence[str]) -> str:
    return f"{side}{'s' if len(names) > 1 else ''} " + ", ".join(f"'{name}'" for name in names)
