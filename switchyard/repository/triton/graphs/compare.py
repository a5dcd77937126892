"""Whether config.pbtxt and a graph describe the same inputs and outputs."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from switchyard.repository.names import quoted
from switchyard.repository.triton.faults import as_string, names_of, nearest
from switchyard.repository.triton.graphs.graph import Graph
from switchyard.repository.triton.schema import CONFIG
from switchyard.repository.triton.tensors import GraphTensor, as_config, fit, graph_dims, type_name
from switchyard.repository.verdict import Fault, FaultCode

Side = Literal["input", "output"]


def graph_faults(config: Any, graph: Graph, file: str, version: str) -> Iterator[Fault]:
    """Say where the configuration and the graph in ``file`` contradict each other."""
    for message in _contradictions(config, graph, quoted(file)):
        # Where the graph itself is at fault, there may be no config.pbtxt at all.
        about = CONFIG if message.startswith(CONFIG) else file
        yield Fault(code=FaultCode.GRAPH, file=about, version=version, message=message)


def _contradictions(config: Any, graph: Graph, file: str) -> Iterator[str]:
    batched = config.max_batch_size > 0
    yield from _side("input", config.input, graph.inputs, batched, file)
    yield from _side("output", config.output, graph.outputs, batched, file)
    if not config.output and graph.outputs:
        yield _cannot_carry("output", graph.outputs[0], file)
    described = {tensor.name for tensor in config.input} | _added_by_triton(config)
    for tensor in graph.inputs:
        if tensor.name in described:
            continue
        if not tensor.data_type or (tensor.dims == () and not batched):
            yield _cannot_carry("input", tensor, file)
        elif tensor.dims is None:
            yield (
                f"{file} does not say what shape its input {quoted(tensor.name)} has: export it with one, with "
                "dynamic dimensions where a request decides."
            )
        else:
            dims = tensor.dims[1:] if batched else tensor.dims
            yield (
                f"{CONFIG} lacks the input {quoted(tensor.name)} of {file}: add "
                f"`input {{ name: {as_string(tensor.name)} data_type: {tensor.data_type} {as_config(dims)} }}`."
            )


def _side(
    side: Side, described: Sequence[Any], tensors: Sequence[GraphTensor], batched: bool, file: str
) -> Iterator[str]:
    known = {tensor.name: tensor for tensor in tensors}
    for wanted in described:
        tensor = known.get(wanted.name)
        if tensor is None:
            like = nearest(wanted.name, tuple(known))
            fix = f"write `name: {as_string(like)}`" if like else "correct the name, or leave it out"
            yield (
                f"{CONFIG} has the {side} {quoted(wanted.name)}, which {file} does not have (its {side}s: "
                f"{names_of(known)}): {fix}."
            )
        elif not tensor.data_type:
            yield _cannot_carry(side, tensor, file)
        elif message := _tensor(side, wanted, tensor, batched, file):
            yield message


def _tensor(side: Side, wanted: Any, tensor: GraphTensor, batched: bool, file: str) -> str:
    name = quoted(tensor.name)
    if batched and tensor.dims is not None and not tensor.is_batched:
        return (
            f"{CONFIG} sets a max_batch_size, but the {side} {name} of {file} has the fixed shape {list(tensor.dims)}: "
            f"write `max_batch_size: 0` and `{as_config(tensor.dims)}`, or export the model with a dynamic first "
            "dimension."
        )
    dims = graph_dims(wanted)
    expected = (-1, *dims) if batched else dims
    if type_name(wanted.data_type) == tensor.data_type and (tensor.dims is None or fit(expected, tensor.dims)):
        return ""
    verb = "takes" if side == "input" else "gives"
    if tensor.dims is None:
        fix = f"data_type: {tensor.data_type}"
    else:
        fix = f"data_type: {tensor.data_type} {as_config(tensor.dims[1:] if batched else tensor.dims)}"
    behind = " behind the batch" if batched else ""
    return (
        f"{CONFIG} says that {side} {name} is {type_name(wanted.data_type)} {list(dims)}{behind}, but {file} {verb} "
        f"{tensor}: write `{fix}`{_hint(wanted, tensor, batched)}."
    )


def _hint(wanted: Any, tensor: GraphTensor, batched: bool) -> str:
    """Say the other way to be right for who forgot the batch."""
    dims = graph_dims(wanted)
    if not batched and tensor.is_batched and tensor.dims is not None and fit(dims, tensor.dims[1:]):
        return ", or set a max_batch_size, which the first dimension is then"
    return ""


def _cannot_carry(side: Side, tensor: GraphTensor, file: str) -> str:
    fix = "of FP32" if tensor.dims is not None else "(skl2onnx: `options={'zipmap': False}`)"
    what = tensor.what
    if tensor.dims == ():
        fix, what = "of the shape [1]", "a single number"
    return (
        f"The {side} {quoted(tensor.name)} of {file} is {what}, which Triton cannot carry: export it as a plain "
        f"tensor {fix}."
    )


def _added_by_triton(config: Any) -> set[str]:
    """Return the inputs that requests do not have: Triton adds them, for sequences and ragged batches.

    https://github.com/triton-inference-server/server/blob/main/docs/user_guide/architecture.md#stateful-models
    """
    sequence = config.sequence_batching
    return {
        *(control.name for control in sequence.control_input),
        *(state.input_name for state in sequence.state),
        *(name for added in config.batch_input for name in added.target_name),
    }
