"""What Triton's schema wants of every input and output that config.pbtxt describes."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from switchyard.repository.names import quoted, tensor_name_fault
from switchyard.repository.triton.schema import CONFIG, DataType, TensorFormat
from switchyard.repository.verdict import Fault, FaultCode

_LARGEST = 1 << 40  # values of one row; V2 counts elements in 64 bits


def tensor_faults(config: Any, *, complete: bool) -> Iterator[Fault]:
    """Say what is wrong with inputs and outputs; if not ``complete``, the graph may still add types and dims."""
    for message in _messages(config, complete):
        yield Fault(code=FaultCode.CONFIG, file=CONFIG, message=message)


def _messages(config: Any, complete: bool) -> Iterator[str]:
    for side, tensors in (("input", config.input), ("output", config.output)):
        yield from _side(side, tensors, complete, config.max_batch_size > 0)
        if complete and not tensors:
            yield f"{CONFIG} describes no {side}: add `{side} {{ name: … data_type: … dims: […] }}` for each."
    for tensor in config.input:
        if tensor.format != TensorFormat.FORMAT_NONE and len(tensor.dims) not in ((3,) if tensor.dims else (0,)):
            yield (
                f"{CONFIG} gives the input {quoted(tensor.name)} the format of images and {len(tensor.dims)} dims: "
                "write channels, height and width in the order of the format, or leave the format out."
            )


def _side(side: str, tensors: Sequence[Any], complete: bool, batched: bool) -> Iterator[str]:
    seen: set[str] = set()
    for tensor in tensors:
        name = quoted(tensor.name)
        if message := _name(side, tensor.name, seen):
            yield message
        seen.add(tensor.name)
        if tensor.data_type not in DataType.values() or (complete and tensor.data_type == DataType.TYPE_INVALID):
            yield f"{CONFIG} gives the {side} {name} no type: write its data_type, such as TYPE_FP32."
        if complete and not tensor.dims:
            yield f"{CONFIG} gives the {side} {name} no dims: write them, without the batch; `dims: [1]` for a number."
        for dims in (tensor.dims, tensor.reshape.shape):
            if any(size == 0 or size < -1 for size in dims) or math.prod(abs(size) for size in dims) > _LARGEST:
                yield f"{CONFIG} gives the {side} {name} the dims {list(dims)[:16]}: write sizes from 1, or -1 for any."
        if complete and tensor.HasField("reshape") and not tensor.reshape.shape and not batched:
            yield (
                f"{CONFIG} reshapes the {side} {name} to a number, which Triton carries in batches alone: export the "
                "model with the shape [1] there."
            )
        elif tensor.HasField("reshape") and not _same_count(tensor.dims, tensor.reshape.shape):
            yield (
                f"{CONFIG} reshapes the {side} {name} from {list(tensor.dims)} to {list(tensor.reshape.shape)}: write "
                "shapes with as many values."
            )


def _name(side: str, name: str, seen: set[str]) -> str:
    if not name:
        return f"{CONFIG} has an {side} without a name: write the graph's."
    if why := tensor_name_fault(name):
        return f"{CONFIG} has the {side} {quoted(name)}, whose name {why}: rename it, in the graph too."
    return f"{CONFIG} describes the {side} {quoted(name)} twice: remove one of them." if name in seen else ""


def _same_count(dims: Sequence[int], shape: Sequence[int]) -> bool:
    free = [list(each).count(-1) for each in (dims, shape)]
    return free[0] == free[1] and (free[0] > 0 or math.prod(dims) == math.prod(shape))
