"""Tensors of models in Python, and their types, as ``triton_python_backend_utils`` of Triton 2.51 has them."""

import struct
from typing import Any

import numpy as np

_NUMPY: tuple[Any, ...] = (  # by the number of the type, from 1
    *(np.bool_, np.uint8, np.uint16, np.uint32, np.uint64, np.int8, np.int16, np.int32, np.int64),
    *(np.float16, np.float32, np.float64, np.object_),
)
_NAMES = ("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64")
TRITON_STRING_TO_NUMPY = {f"TYPE_{name}": each for name, each in zip((*_NAMES, "STRING"), _NUMPY, strict=True)}


class NoTritonError(BaseException):
    """The model asks for what only a running Triton has; no ``except Exception`` of the model's hides it."""


class UsageError(TypeError):
    """The model gives Triton what Triton does not take, whatever the values are."""


class Tensor:
    """A named array."""

    def __init__(self, name: str, numpy_array: Any) -> None:
        if not isinstance(name, str) or not name:
            raise UsageError("the name of a Tensor is a text that is not empty")
        if not isinstance(numpy_array, np.ndarray):
            raise UsageError(f"the Tensor '{name}' is made of {type(numpy_array).__name__}, not of a numpy.ndarray")
        if numpy_to_triton_type(numpy_array.dtype.type) is None:
            what = "; texts have dtype=object" if numpy_array.dtype.kind == "U" else ""
            raise UsageError(
                f"the Tensor '{name}' has the numpy type {numpy_array.dtype}, which Triton does not take{what}"
            )
        self._name, self._array = name, numpy_array

    @staticmethod
    def from_dlpack(name: str, tensor: Any) -> "Tensor":
        if not hasattr(tensor, "__dlpack__"):
            raise NoTritonError("a DLPack capsule")
        return Tensor(name, np.from_dlpack(tensor))

    def name(self) -> str:
        return self._name

    def as_numpy(self) -> Any:
        return self._array

    def triton_dtype(self) -> int | None:
        return numpy_to_triton_type(self._array.dtype.type)

    def shape(self) -> list[int]:
        return list(self._array.shape)

    def is_cpu(self) -> bool:
        return True

    def to_dlpack(self) -> Any:
        return self._array.__dlpack__()

    def __dlpack__(self, stream: object = None) -> Any:
        return self._array.__dlpack__()

    def __dlpack_device__(self) -> Any:
        return self._array.__dlpack_device__()


def serialize_byte_tensor(input_tensor: Any) -> bytes | tuple[()]:
    """Return texts with their lengths before them, as requests carry them."""
    values = [each if isinstance(each, bytes) else str(each).encode() for each in input_tensor.flatten().tolist()]
    return b"".join(struct.pack("<I", len(each)) + each for each in values) if values else ()


def deserialize_bytes_tensor(encoded_tensor: bytes) -> Any:
    """Return what ``serialize_byte_tensor`` wrote, as one dimension."""
    values, start = [], 0
    while start < len(encoded_tensor):
        end = start + 4 + int.from_bytes(encoded_tensor[start : start + 4], "little")
        values.append(encoded_tensor[start + 4 : end])
        start = end
    return np.array(values, dtype=object)


def triton_to_numpy_type(data_type: int) -> Any:
    return _NUMPY[data_type - 1] if 1 <= data_type <= len(_NUMPY) else None


def numpy_to_triton_type(data_type: Any) -> int | None:
    kind = np.object_ if data_type is np.bytes_ else data_type
    return next((number for number, each in enumerate(_NUMPY, 1) if each == kind), None)


def triton_string_to_numpy(triton_type_string: str) -> Any:
    return TRITON_STRING_TO_NUMPY[triton_type_string]
