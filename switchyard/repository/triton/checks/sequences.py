"""The states that Triton keeps for each sequence, and the files that they begin with."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from switchyard.repository.names import quoted
from switchyard.repository.triton.schema import CONFIG
from switchyard.repository.triton.tensors import element_bytes
from switchyard.repository.verdict import Fault, FaultCode

_FOLDER = "initial_state"  # https://github.com/triton-inference-server/server/blob/main/docs/user_guide/architecture.md
_MOST_VALUES = 1 << 27  # of all states of all sequences at a time: half a gigabyte of FP32


def sequence_faults(config: Any, sizes: Mapping[str, int]) -> Iterator[Fault]:
    """Say which states are too large, or begin with a file that is not in the folder."""
    sequence = config.sequence_batching
    at_a_time = max(sequence.oldest.max_candidate_sequences, config.max_batch_size, 1)
    values = 0
    for state in sequence.state:
        name = quoted(state.input_name)
        shapes = [state.dims, *(given.dims for given in state.initial_state)]
        if any(size == 0 or size < -1 for dims in shapes for size in dims):
            yield _fault(f"{CONFIG} gives the state {name} the dims {list(state.dims)[:16]}: write sizes from 1.")
        values += max(math.prod(map(abs, dims)) for dims in shapes)
        for given in state.initial_state:
            if given.data_file:
                yield from _file(name, given, sizes)
    if values * at_a_time > _MOST_VALUES:
        yield _fault(
            f"{CONFIG} keeps {values} values of states for each of {at_a_time} sequences: write fewer, of at most "
            f"{_MOST_VALUES} together."
        )


def _file(name: str, given: Any, sizes: Mapping[str, int]) -> Iterator[Fault]:
    file, what = f"{_FOLDER}/{given.data_file}", f"{CONFIG} has the initial state of {name} in"
    if ".." in file.split("/") or given.data_file.startswith("/"):
        message = f"{what} {quoted(file)}, outside {_FOLDER}/: copy the file into it."
        yield Fault(code=FaultCode.LINK, file=CONFIG, message=message)
        return
    if file not in sizes:
        yield Fault(
            code=FaultCode.INCOMPLETE, file=file, message=f"{what} {quoted(file)}, which is missing: copy it there."
        )
        return
    needed = math.prod(given.dims) * element_bytes(given.data_type)
    if sizes[file] < needed:
        message = f"{what} {quoted(file)}, which has {sizes[file]} bytes of {needed}: write the whole tensor."
        yield Fault(code=FaultCode.CONFIG, file=file, message=message)


def _fault(message: str) -> Fault:
    return Fault(code=FaultCode.CONFIG, file=CONFIG, message=message)
