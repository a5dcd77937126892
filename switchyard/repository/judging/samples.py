"""Inputs on which an ONNX model is run once: those of its own warm-up sample, else values of the configured shapes."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from switchyard.repository.judging.values import with_known
from switchyard.repository.triton.schema import DataType
from switchyard.repository.triton.tensors import graph_dims

DTYPES: dict[str, Any] = {
    "TYPE_BOOL": np.bool_,
    "TYPE_UINT8": np.uint8,
    "TYPE_UINT16": np.uint16,
    "TYPE_UINT32": np.uint32,
    "TYPE_UINT64": np.uint64,
    "TYPE_INT8": np.int8,
    "TYPE_INT16": np.int16,
    "TYPE_INT32": np.int32,
    "TYPE_INT64": np.int64,
    "TYPE_FP16": np.float16,
    "TYPE_FP32": np.float32,
    "TYPE_FP64": np.float64,
    "TYPE_STRING": np.object_,
}
# What is tried for -1 and for integers: networks of images need a least size, tables of few rows have no row 1.
_TRIES = ((1, 1), (32, 1), (64, 0), (224, 0))
_MOST_ELEMENTS = 1 << 24  # of a guess: four dimensions of 224 would be 10 GB
_SEED = 20
_WARMUP = "warmup"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """Values by input; ``is_guess`` says that the model need not take their sizes."""

    feed: dict[str, Any]
    is_guess: bool = False


def samples(config: Any, folder: Path, known: Mapping[str, Mapping[int, Any]] = {}) -> Iterator[Sample]:
    """Yield what the model is tried on, until it takes one; ``known`` are values by input and column."""
    if config.model_warmup:
        yield Sample(feed=_warmup(config, folder))
        return
    is_guess = any(-1 in graph_dims(tensor) for tensor in config.input)
    for size, whole in _TRIES if is_guess else _TRIES[1:3]:
        shapes = {
            tensor.name: _batched(config, [size if dim == -1 else dim for dim in graph_dims(tensor)])
            for tensor in config.input
            if not tensor.optional
        }
        if is_guess and sum(map(math.prod, shapes.values())) > _MOST_ELEMENTS:
            return
        random = np.random.default_rng(_SEED)
        types = {tensor.name: tensor.data_type for tensor in config.input}
        values = {name: _values(types[name], shape, random, whole) for name, shape in shapes.items()}
        feed = {name: with_known(value, known.get(name, {})) for name, value in values.items()}
        yield Sample(feed=feed, is_guess=is_guess)


def _warmup(config: Any, folder: Path) -> dict[str, Any]:
    """Return the first sample of ``model_warmup``, as Triton would send it in a batch of one."""
    reshaped = {tensor.name: graph_dims(tensor) for tensor in config.input if tensor.HasField("reshape")}
    random = np.random.default_rng(_SEED)
    feed = {}
    for name, given in config.model_warmup[0].inputs.items():
        shape = _batched(config, list(given.dims))
        if given.input_data_file:
            value = _read(folder / _WARMUP / given.input_data_file, given.data_type, shape)
        elif given.random_data:
            value = _values(given.data_type, shape, random, 0)
        else:
            value = _values(given.data_type, shape, None, 0)
        feed[name] = value.reshape(_batched(config, list(reshaped[name]))) if name in reshaped else value
    return feed


def _batched(config: Any, dims: list[int]) -> list[int]:
    return [1, *dims] if config.max_batch_size > 0 else dims


def _values(data_type: int, shape: list[int], random: np.random.Generator | None, whole: int) -> Any:
    dtype = DTYPES[DataType.Name(data_type)]
    if dtype is np.object_:
        return np.full(shape, "" if random is None else "text", dtype=object)
    if random is not None and np.issubdtype(dtype, np.floating):
        return random.random(shape).astype(dtype)
    return np.full(shape, whole, dtype=dtype)


def _read(path: Path, data_type: int, shape: list[int]) -> Any:
    """Read a tensor as requests carry it: elements one after the other, strings with their length before them."""
    dtype, count, data = DTYPES[DataType.Name(data_type)], math.prod(shape), path.read_bytes()
    if dtype is not np.object_:
        return np.frombuffer(data, dtype=dtype, count=count).reshape(shape)
    strings, start = [], 0
    for _ in range(count):
        length = int.from_bytes(data[start : start + 4], "little")
        strings.append(data[start + 4 : start + 4 + length].decode(errors="replace"))
        start += 4 + length
    return np.array(strings, dtype=object).reshape(shape)
