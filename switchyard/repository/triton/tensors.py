"""Element types and shapes, in the words of Triton's configuration, of ONNX, and of V2."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onnx import TensorProto

from switchyard.repository.triton.schema import DataType
from switchyard.repository.verdict import Tensor

# https://github.com/triton-inference-server/server/blob/main/docs/user_guide/model_configuration.md#datatypes
TYPES: Mapping[int, str] = {
    TensorProto.BOOL: "TYPE_BOOL",
    TensorProto.UINT8: "TYPE_UINT8",
    TensorProto.UINT16: "TYPE_UINT16",
    TensorProto.UINT32: "TYPE_UINT32",
    TensorProto.UINT64: "TYPE_UINT64",
    TensorProto.INT8: "TYPE_INT8",
    TensorProto.INT16: "TYPE_INT16",
    TensorProto.INT32: "TYPE_INT32",
    TensorProto.INT64: "TYPE_INT64",
    TensorProto.FLOAT16: "TYPE_FP16",
    TensorProto.FLOAT: "TYPE_FP32",
    TensorProto.DOUBLE: "TYPE_FP64",
    TensorProto.STRING: "TYPE_STRING",
}
_SIZES = {"BOOL": 1, "UINT8": 1, "INT8": 1, "UINT16": 2, "INT16": 2, "FP16": 2, "BF16": 2, "UINT32": 4, "INT32": 4}
_SIZES |= {"FP32": 4, "UINT64": 8, "INT64": 8, "FP64": 8}


@dataclass(frozen=True, kw_only=True, slots=True)
class GraphTensor:
    """An input or output of a graph.

    ``data_type`` is Triton's name of its elements, empty where Triton cannot carry it; ``what`` says what it is then.
    ``dims`` has -1 where the size is free, the batch included, and is None where the graph does not say how many
    dimensions there are. ``batch`` is the symbol of a free first dimension.
    """

    name: str
    data_type: str = ""
    what: str = ""
    dims: tuple[int, ...] | None = None
    batch: str = ""

    @property
    def is_batched(self) -> bool:
        return self.dims is not None and self.dims[:1] == (-1,)

    def __str__(self) -> str:
        if not self.data_type:
            return self.what
        return f"{self.data_type} {'of unknown shape' if self.dims is None else list(self.dims)}"


def type_name(data_type: int) -> str:
    """Return the name of an element type of the configuration, such as TYPE_FP32."""
    return str(DataType.Name(data_type)) if data_type in DataType.values() else f"type {data_type}"


def v2_datatype(data_type: int) -> str:
    """Return V2's name of an element type of the configuration."""
    return "BYTES" if data_type == DataType.TYPE_STRING else type_name(data_type).removeprefix("TYPE_")


def element_bytes(data_type: int) -> int:
    """Return the bytes of one element, 0 where its values have lengths of their own."""
    return _SIZES.get(v2_datatype(data_type), 0)


def graph_dims(tensor: Any) -> tuple[int, ...]:
    """Return the dims of a tensor of the configuration as the model itself sees them, without the batch."""
    return tuple(tensor.reshape.shape) if tensor.HasField("reshape") else tuple(tensor.dims)


def fit(wanted: Sequence[int], found: Sequence[int]) -> bool:
    """Return whether two shapes can be of one tensor; -1 is any size."""
    return len(wanted) == len(found) and all(
        -1 in pair or pair[0] == pair[1] for pair in zip(wanted, found, strict=True)
    )


def v2_tensors(tensors: Sequence[Any], max_batch_size: int) -> tuple[Tensor, ...]:
    """Return tensors of the configuration as requests have them."""
    batch = (-1,) if max_batch_size > 0 else ()
    return tuple(
        Tensor(
            name=tensor.name,
            datatype=v2_datatype(tensor.data_type),
            shape=(*batch, *tensor.dims),
            optional=bool(getattr(tensor, "optional", False)),
        )
        for tensor in tensors
    )


def as_config(dims: Sequence[int]) -> str:
    """Return dims as they are written into the configuration, which cannot describe a tensor without any."""
    return f"dims: {list(dims)}" if dims else "dims: [1] reshape { shape: [] }"
