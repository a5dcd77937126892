"""Tensors in an HTTP body: V2's JSON header, then the values as they are in memory.

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md. ``tritonclient`` is
not used, because it and kserve register the same protobuf messages, so that one process cannot import both.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

HEADER_LENGTH = b"inference-header-content-length"

_DTYPES: dict[str, Any] = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
}
_NAMES = {np.dtype(dtype): name for name, dtype in _DTYPES.items()}


@dataclass(frozen=True, kw_only=True)
class RequestedOutput:
    """An output to request; with ``classes`` the best classes instead of the scores themselves."""

    name: str
    classes: int = 0

    def as_json(self) -> dict[str, Any]:
        parameters: dict[str, Any] = {"binary_data": True}
        if self.classes:
            parameters["classification"] = self.classes
        return {"name": self.name, "parameters": parameters}


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """Encoded values: an array of numbers, or texts as bytes."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: bytes = field(repr=False)

    @staticmethod
    def of_numbers(name: str, array: np.ndarray) -> "Tensor":
        return Tensor(name=name, datatype=datatype(array), shape=array.shape, data=array.tobytes())

    @staticmethod
    def of_bytes(name: str, value: bytes, shape: tuple[int, ...] = (1,)) -> "Tensor":
        """Encode one element of datatype BYTES: its length in four bytes, little-endian, then its content."""
        return Tensor(name=name, datatype="BYTES", shape=shape, data=struct.pack("<I", len(value)) + value)

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "datatype": self.datatype,
            "shape": list(self.shape),
            "parameters": {"binary_data_size": len(self.data)},
        }


def encode(inputs: Sequence[Tensor], outputs: Sequence[RequestedOutput]) -> tuple[int, bytes]:
    """Encode a request; return the length of the JSON header, and the whole body."""
    header = orjson.dumps(
        {"inputs": [tensor.as_json() for tensor in inputs], "outputs": [output.as_json() for output in outputs]}
    )
    return len(header), b"".join((header, *(tensor.data for tensor in inputs)))


def decode(body: bytes, header_length: int) -> Mapping[str, np.ndarray]:
    """Decode a response with only binary tensors; BYTES become arrays of ``bytes``.

    Raises:
        ValueError: the body is not such a response.
    """
    header = orjson.loads(body[:header_length])
    arrays: dict[str, np.ndarray] = {}
    at = header_length
    try:
        for output in header["outputs"]:
            size = output["parameters"]["binary_data_size"]
            arrays[str(output["name"])] = _array(body[at : at + size], output["datatype"], output["shape"])
            at += size
    except (KeyError, TypeError, OverflowError) as err:
        raise ValueError(f"the header of the response is not V2: {err!r}") from err
    return arrays


def as_json_tensors(arrays: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Convert arrays to JSON tensors; texts are UTF-8."""
    return [
        {"name": name, "datatype": datatype(array), "shape": list(array.shape), "data": _plain(array)}
        for name, array in arrays.items()
    ]


def datatype(array: np.ndarray) -> str:
    """Return V2's name of an array's type; arrays of objects hold texts as bytes."""
    return "BYTES" if array.dtype == np.object_ else _NAMES[array.dtype]


def texts(data: bytes) -> list[bytes]:
    """Split an encoded BYTES tensor into its elements.

    Raises:
        ValueError: an element runs past the end.
    """
    return list(elements(data))


def elements(data: bytes) -> Iterator[bytes]:
    """Yield the elements of an encoded BYTES tensor; raises as ``texts``."""
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "little")
        at += 4 + size
        if at > len(data):
            raise ValueError("an element of a BYTES tensor runs past its end")
        yield data[at - size : at]


def _plain(array: np.ndarray) -> list[Any]:
    values = array.reshape(-1).tolist()
    return [value.decode() for value in values] if array.dtype == np.object_ else values


def _array(data: bytes, datatype: str, shape: Sequence[int]) -> np.ndarray:
    if datatype == "BYTES":
        return np.array(texts(data), dtype=np.object_).reshape(shape)
    # Not copied, so not writable: nobody here changes a model's output.
    return np.frombuffer(data, dtype=_DTYPES[datatype]).reshape(shape)
