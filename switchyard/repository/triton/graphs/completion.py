"""Completes a configuration from the graph, as Triton's backend of ONNX Runtime would: what is written is kept."""

from collections.abc import Iterator, Sequence
from typing import Any

from switchyard.repository.names import quoted
from switchyard.repository.triton.graphs.graph import Graph
from switchyard.repository.triton.schema import DataType, ModelConfig
from switchyard.repository.triton.tensors import GraphTensor

BATCH = 32  # rows of one run; 224 x 224 pixels in FP32 are 19 MB then
BACKEND = "onnxruntime"
_AS_TENSOR = " (skl2onnx makes it a tensor with `options={'zipmap': False}`)"


def complete(config: Any, graph: Graph) -> tuple[Any, tuple[str, ...]]:
    """Return a copy of ``config`` with what it lacks, and notes about what could not be added."""
    completed = ModelConfig()
    completed.CopyFrom(config)
    if not (config.backend or config.platform):
        completed.backend = BACKEND
    shaped = [tensor for tensor in (*config.input, *config.output) if tensor.dims]
    if config.max_batch_size == 0 and not shaped and graph.batches:
        completed.max_batch_size = BATCH
        if not config.HasField("dynamic_batching") and not config.HasField("sequence_batching"):
            completed.dynamic_batching.SetInParent()
    _fill(completed.input, graph.inputs, completed.max_batch_size)
    _fill(completed.output, graph.outputs, completed.max_batch_size)
    return completed, tuple(_notes(config, completed, graph))


def _fill(described: Any, tensors: Sequence[GraphTensor], max_batch_size: int) -> None:
    if not described:
        for tensor in tensors:
            # Triton carries a single number for each row of a batch, and none without.
            if tensor.data_type and tensor.dims is not None and (tensor.dims or max_batch_size):
                described.add(name=tensor.name)
    known = {tensor.name: tensor for tensor in tensors}
    for wanted in described:
        found = known.get(wanted.name)
        if found is None or not found.data_type:
            continue
        if wanted.data_type == DataType.TYPE_INVALID:
            wanted.data_type = DataType.Value(found.data_type)
        if not wanted.dims and found.dims is not None:
            dims = found.dims[1:] if max_batch_size else found.dims
            wanted.dims.extend(dims or (1,))
            if not dims:
                wanted.reshape.SetInParent()


def _notes(written: Any, config: Any, graph: Graph) -> Iterator[str]:
    described = {tensor.name for tensor in config.output}
    for tensor in graph.outputs:
        if tensor.name not in described and not written.output:
            what = "a single number" if tensor.dims == () else str(tensor)
            fix = _AS_TENSOR if tensor.what in ("a sequence", "a map") else ""
            yield f"The output {quoted(tensor.name)} is left out: it is {what}, which Triton cannot carry{fix}."
    free = [tensor for tensor in graph.inputs if tensor.is_batched]
    fixed = [tensor for tensor in (*graph.inputs, *graph.outputs) if tensor.dims and not tensor.is_batched]
    if free and fixed and not (config.max_batch_size or written.input or written.output):
        yield (
            f"Requests are not batched: {quoted(fixed[0].name)} has the fixed shape {list(fixed[0].dims or ())}. "
            "Export it with a dynamic first dimension, if that is the batch."
        )
