"""Whether the ONNX Runtime that is installed here can run a graph: its opsets, the format's version, its operators.

ONNX Runtime has no function that says so; it is asked by loading a graph of one node that declares the same.
"""

from collections.abc import Callable, Iterator
from functools import cache, partial

import onnx
import onnxruntime
from onnx import TensorProto, helper

from switchyard.repository.names import quoted
from switchyard.repository.triton.faults import nearest
from switchyard.repository.triton.graphs.graph import Graph
from switchyard.repository.verdict import Fault, FaultCode

_STANDARD = frozenset(("", "ai.onnx"))
_SCHEMAS = frozenset(("", "ai.onnx", "ai.onnx.ml"))  # domains of which onnx knows every operator
# https://github.com/microsoft/onnxruntime/blob/main/include/onnxruntime/core/graph/constants.h
_DOMAINS = _SCHEMAS | {
    "ai.onnx.preview.training",
    "ai.onnx.training",
    "com.microsoft",
    "com.microsoft.experimental",
    "com.microsoft.nchwc",
    "com.ms.internal.nhwc",
    "org.pytorch.aten",
}
# Operators of ONNX before 1.5 that ONNX Runtime still has (docs/OperatorKernels.md of it).
_ONCE_STANDARD = frozenset(
    ("Affine", "Crop", "DynamicSlice", "ImageScaler", "ParametricSoftplus", "Scale", "ScaledTanh")
)
_OPSET, _IR = 17, 8  # of 2022: every ONNX Runtime that is still used has them
_MOST = 100  # versions that are tried


def runtime_faults(graph: Graph, file: str, version: str) -> Iterator[Fault]:
    """Say what of a graph the installed ONNX Runtime does not have."""
    runtime = f"ONNX Runtime {onnxruntime.__version__}"
    if not loads(ir_version=graph.ir_version):
        newest = _newest(lambda number: loads(ir_version=number), graph.ir_version)
        yield _fault(
            f"{quoted(file)} is of version {graph.ir_version} of ONNX's format, and {runtime} reads versions up to "
            f"{newest}: set `model.ir_version = {newest}` before you save it.",
            file,
            version,
        )
    for domain, opset in graph.opsets:
        if domain in _DOMAINS and not loads(domain=domain, opset=opset):
            newest = _newest(partial(_has_opset, domain), opset)
            name = f"opset {opset}" if domain in _STANDARD else f"opset {opset} of {domain}"
            yield _fault(
                f"{quoted(file)} needs {name}, and {runtime} has up to {newest}: export it with opset {newest}.",
                file,
                version,
            )
    yield from _operator_faults(graph, file, version)


def _operator_faults(graph: Graph, file: str, version: str) -> Iterator[Fault]:
    opsets = dict(graph.opsets)
    for domain, name in sorted(graph.operators):
        if domain not in _DOMAINS:
            message = (
                f"{quoted(file)} uses the operator {quoted(name)} of {quoted(domain)}, a library of its own, and none "
                "is loaded: export the model with ONNX's operators."
            )
        elif domain not in _SCHEMAS or name in _ONCE_STANDARD:
            continue
        elif not onnx.defs.has(name, _plain(domain)):
            like = nearest(name, _operators(_plain(domain)))
            message = f"{quoted(file)} uses the operator {quoted(name)}, which ONNX does not have: " + (
                f"did you mean {like}?" if like else "export the model with ONNX's operators."
            )
        elif (opset := opsets.get(domain, opsets.get(_plain(domain), 0))) < (since := _since(domain, name)):
            message = (
                f"{quoted(file)} uses the operator {name}, which came with opset {since}, and declares opset {opset}: "
                f"export it with opset {since}."
            )
        else:
            continue
        yield _fault(message, file, version)


@cache
def loads(*, ir_version: int = _IR, domain: str = "", opset: int = _OPSET) -> bool:
    """Return whether ONNX Runtime loads a graph that declares this."""
    if not (0 < ir_version < 1 << 31 and 0 < opset < 1 << 31):
        return False
    tensor = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(domain, opset)][domain in _STANDARD :]
    model = helper.make_model(helper.make_graph(nodes, "tried", tensor[:1], tensor[1:]), opset_imports=opsets)
    model.ir_version = ir_version
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception:  # its exceptions have no common class
        return False
    return True


def _has_opset(domain: str, opset: int) -> bool:
    return loads(domain=domain, opset=opset)


def _newest(has: Callable[[int], bool], most: int) -> int:
    return next((number for number in range(min(most, _MOST) - 1, 0, -1) if has(number)), 0)


@cache
def _operators(domain: str) -> tuple[str, ...]:
    return tuple({schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == domain})


def _since(domain: str, name: str) -> int:
    history = onnx.defs.get_all_schemas_with_history()
    return min(schema.since_version for schema in history if (schema.domain, schema.name) == (_plain(domain), name))


def _plain(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain


def _fault(message: str, file: str, version: str) -> Fault:
    return Fault(code=FaultCode.GRAPH, file=file, version=version, message=message)
