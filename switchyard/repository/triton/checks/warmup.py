"""The warm-up samples that Triton runs before a model is ready."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from switchyard.repository.names import quoted
from switchyard.repository.triton.faults import names_of
from switchyard.repository.triton.schema import CONFIG
from switchyard.repository.triton.tensors import element_bytes, fit, type_name
from switchyard.repository.verdict import Fault, FaultCode

_MOST_RUNS = 100  # rows of all samples: a load waits for them
_MOST_VALUES = 1 << 26  # of one run: a batch of pictures has some millions
_FOLDER = "warmup"  # https://github.com/triton-inference-server/server/blob/main/docs/user_guide/model_configuration.md


def warmup_faults(config: Any, sizes: Mapping[str, int]) -> Iterator[Fault]:
    """Say which samples Triton could not send to the model."""
    runs = sum(max(sample.count, 1) * max(sample.batch_size, 1) for sample in config.model_warmup)
    if runs > _MOST_RUNS:
        message = (
            f"{CONFIG} warms the model up with {runs} rows (count × batch_size of model_warmup): write at most "
            f"{_MOST_RUNS}, for which a load waits."
        )
        yield Fault(code=FaultCode.CONFIG, file=CONFIG, message=message)
    for sample in config.model_warmup:
        for message in _messages(config, sample):
            yield Fault(code=FaultCode.CONFIG, file=CONFIG, message=message)
        for name, given in sample.inputs.items():
            if given.WhichOneof("input_data_type") == "input_data_file":
                yield from _file_faults(sample, name, given, sizes)


def _messages(config: Any, sample: Any) -> Iterator[str]:
    what = f"The warm-up sample {quoted(sample.name)} in {CONFIG}"
    known = {tensor.name: tensor for tensor in config.input}
    if sample.batch_size > max(config.max_batch_size, 1):
        yield f"{what} has a batch of {sample.batch_size}: write at most {max(config.max_batch_size, 1)}."
    missing = [name for name, tensor in known.items() if name not in sample.inputs and not tensor.optional]
    if missing:
        yield f"{what} lacks {names_of(missing)}: add the input."
    for name, given in sample.inputs.items():
        tensor = known.get(name)
        if tensor is None:
            yield f"{what} has the input {quoted(name)}, which the model does not have: write one of {names_of(known)}."
            continue
        if given.data_type != tensor.data_type or not fit(tensor.dims, given.dims):
            yield (
                f"{what} gives {quoted(name)} as {type_name(given.data_type)} {list(given.dims)[:16]}, but the model "
                f"takes {type_name(tensor.data_type)} {list(tensor.dims)}: write the same."
            )
        elif any(size < 1 for size in given.dims):
            yield f"{what} gives {quoted(name)} the dims {list(given.dims)[:16]}: write the sizes of one sample."
        if given.WhichOneof("input_data_type") is None:
            yield f"{what} gives {quoted(name)} no data: write `random_data: true`."
    values = sum(math.prod(given.dims) for given in sample.inputs.values()) * max(sample.batch_size, 1)
    if values > _MOST_VALUES:
        yield f"{what} has {values} values: write smaller dims or a smaller batch, of at most {_MOST_VALUES}."


def _file_faults(sample: Any, name: str, given: Any, sizes: Mapping[str, int]) -> Iterator[Fault]:
    what = f"The warm-up sample {quoted(sample.name)} in {CONFIG} has the data of {quoted(name)} in"
    file = f"{_FOLDER}/{given.input_data_file}"
    if ".." in file.split("/") or given.input_data_file.startswith("/"):
        message = f"{what} {quoted(file)}, outside {_FOLDER}/: copy the file into it."
        yield Fault(code=FaultCode.LINK, file=CONFIG, message=message)
        return
    if file not in sizes:
        message = f"{what} {quoted(file)}, which is missing: copy it there."
        yield Fault(code=FaultCode.INCOMPLETE, file=file, message=message)
        return
    needed = math.prod(given.dims) * element_bytes(given.data_type)
    if sizes[file] < needed:
        message = f"{what} {quoted(file)}, which has {sizes[file]} bytes of {needed}: write the whole tensor."
        yield Fault(code=FaultCode.CONFIG, file=file, message=message)
