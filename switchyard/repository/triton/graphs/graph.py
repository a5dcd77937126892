"""An ONNX file as far as it can be read without its weights: inputs, outputs, operators, and where weights lie."""

import errno
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError

from switchyard.files import read_file
from switchyard.repository.names import quoted, tensor_name_fault
from switchyard.repository.triton.faults import FaultError
from switchyard.repository.triton.tensors import TYPES, GraphTensor
from switchyard.repository.verdict import Fault, FaultCode

MOST_BYTES = (1 << 31) - 1  # of one message of protobuf
MOST_NODES = 200_000  # a language model unrolled for 100 layers has some 10 000
_MOST_TENSORS = 1000
_FIRST_BYTE = b"\x08"  # the tag of ir_version, with which every exporter begins
_KINDS = {"sequence_type": "a sequence", "map_type": "a map", "sparse_tensor_type": "a sparse tensor"}


@dataclass(frozen=True, kw_only=True, slots=True)
class ExternalData:
    """Where one tensor's weights lie outside the graph's file; ``length`` is 0 where it goes to the file's end."""

    location: str
    offset: int = 0
    length: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Graph:
    """What a graph declares; ``operators`` are pairs of domain and name, functions of the file's own left out."""

    inputs: tuple[GraphTensor, ...]
    outputs: tuple[GraphTensor, ...]
    ir_version: int
    opsets: tuple[tuple[str, int], ...]
    operators: frozenset[tuple[str, str]] = frozenset()
    external: tuple[ExternalData, ...] = ()
    bytes: int = 0

    @property
    def batches(self) -> bool:
        """Whether the first dimension of every tensor is free, and the same one in all inputs as far as it has a name.

        Two names are two sizes, such as rows and columns, and joining requests along one of them would mix them.
        """
        carried = [tensor for tensor in (*self.inputs, *self.outputs) if tensor.data_type and tensor.dims is not None]
        symbols = {tensor.batch for tensor in self.inputs} - {""}
        return bool(self.inputs) and all(tensor.is_batched for tensor in carried) and len(symbols) <= 1


def read_graph(path: Path, file: str, version: str, size: int) -> Graph:
    """Read the graph in ``path``, called ``file`` in sentences, which had ``size`` bytes.

    Raises:
        FaultError: it is no ONNX file, or beyond its bounds.
    """
    try:
        model = _model(path, size)
        walk = _Walk(model)
        return Graph(
            # Before IR version 4, constants are inputs too (https://onnx.ai/onnx/repo-docs/IR.html).
            inputs=tuple(_tensor("input", each) for each in model.graph.input if each.name not in walk.constants),
            outputs=tuple(_tensor("output", each) for each in model.graph.output),
            ir_version=model.ir_version,
            opsets=tuple((_text(opset.domain), opset.version) for opset in model.opset_import),
            operators=frozenset(walk.operators - walk.functions),
            external=tuple(walk.external),
            bytes=size,
        )
    except _ReadError as err:
        fault = Fault(code=err.code, file=file, version=version, message=f"{quoted(file)} {err}")
        raise FaultError(fault) from err


class _ReadError(Exception):
    """The file is not read; the message goes on with the sentence that its name begins."""

    def __init__(self, code: FaultCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def _model(path: Path, size: int) -> Any:
    if size > MOST_BYTES:
        raise _ReadError(
            FaultCode.TOO_LARGE,
            f"has {size} bytes, and a graph has less than 2 GiB: export it with its weights beside it "
            "(`onnx.save(…, save_as_external_data=True)`).",
        )
    try:
        data = read_file(path, size)  # which reserves all that may come
    except OSError as err:
        if err.errno == errno.EFBIG:
            raise _ReadError(FaultCode.INCOMPLETE, "is being written: wait for it.") from err
        raise _ReadError(FaultCode.UNREADABLE, f"cannot be read ({err.strerror}): correct its permissions.") from err
    if not data:
        raise _ReadError(FaultCode.INCOMPLETE, "is empty: copy it again.")
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as err:
        if data.startswith(_FIRST_BYTE):
            message = f"is cut off or damaged after {len(data)} bytes: copy it again, as a whole."
            raise _ReadError(FaultCode.INCOMPLETE, message) from err
        raise _ReadError(FaultCode.UNREADABLE, _what_it_is(data)) from err
    if not model.graph.node and not model.graph.output:
        raise _ReadError(FaultCode.UNREADABLE, "has no graph of ONNX: export the model to ONNX.")
    return model


class _Walk:
    """Goes through graphs within graphs; protobuf nests them some 30 deep at most."""

    def __init__(self, model: Any) -> None:
        self.operators: set[tuple[str, str]] = set()
        self.external: list[ExternalData] = []
        self.functions = {(_text(function.domain), _text(function.name)) for function in model.functions}
        self.constants = {_text(tensor.name) for tensor in model.graph.initializer}
        self.constants |= {_text(tensor.values.name) for tensor in model.graph.sparse_initializer}
        self._nodes = 0
        if len(model.graph.output) > _MOST_TENSORS:
            raise _too_large(f"{_MOST_TENSORS} outputs")
        self._graph(model.graph)
        for function in model.functions:
            self._all_nodes(function.node)

    def _graph(self, graph: Any) -> None:
        self._tensors(graph.initializer)
        for sparse in graph.sparse_initializer:
            self._tensors((sparse.values, sparse.indices))
        self._all_nodes(graph.node)

    def _all_nodes(self, nodes: Any) -> None:
        self._nodes += len(nodes)
        if self._nodes > MOST_NODES:
            raise _too_large(f"{MOST_NODES} nodes")
        for node in nodes:
            self.operators.add((_text(node.domain), _text(node.op_type)))
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    self._tensors((attribute.t,))
                self._tensors(attribute.tensors)
                if attribute.HasField("g"):
                    self._graph(attribute.g)
                for graph in attribute.graphs:
                    self._graph(graph)

    def _tensors(self, tensors: Iterable[Any]) -> None:
        for tensor in tensors:
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                entries = {entry.key: _text(entry.value) for entry in tensor.external_data}
                self.external.append(
                    ExternalData(
                        location=entries.get("location", ""),
                        offset=_whole_number(entries.get("offset", "")),
                        length=_whole_number(entries.get("length", "")),
                    )
                )


def _too_large(what: str) -> _ReadError:
    return _ReadError(FaultCode.TOO_LARGE, f"has more than {what}: simplify the graph.")


def external_faults(graph: Graph, file: str, version: str, sizes: dict[str, int]) -> Iterator[Fault]:
    """Say which weights beside the graph are missing, short or elsewhere; ``sizes`` are the folder's files."""
    below = file.rpartition("/")[0]
    ends: dict[str, int] = {}
    for data in graph.external:
        ends[data.location] = max(ends.get(data.location, 0), data.offset + data.length)
    for location, end in ends.items():
        path = f"{below}/{location}"
        if location.startswith("/") or ".." in location.split("/") or not location:
            yield Fault(
                code=FaultCode.LINK,
                file=file,
                version=version,
                message=f"{quoted(file)} has weights in {quoted(location)}, outside {below}/: export it with the "
                "weights in a file beside it.",
            )
        elif path not in sizes:
            yield Fault(
                code=FaultCode.INCOMPLETE,
                file=path,
                version=version,
                message=f"{quoted(file)} has its weights in {quoted(path)}, which is missing: copy it there.",
            )
        elif sizes[path] < end:
            yield Fault(
                code=FaultCode.INCOMPLETE,
                file=path,
                version=version,
                message=f"{quoted(path)} has {sizes[path]} bytes, of {end} that {quoted(file)} has weights in: copy it "
                "again, as a whole.",
            )


def _tensor(side: str, value: Any) -> GraphTensor:
    if why := tensor_name_fault(_text(value.name)):
        message = f"has the {side} {quoted(value.name)}, whose name {why}: rename it, and export the model again."
        raise _ReadError(FaultCode.GRAPH, message)
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        return GraphTensor(name=_text(value.name), what=_KINDS.get(kind or "", "a value without a type"))
    tensor = value.type.tensor_type
    known = onnx.TensorProto.DataType.Name(tensor.elem_type) if tensor.elem_type in _ELEMENTS else "unknown elements"
    dims = tuple(_size(dim) for dim in tensor.shape.dim) if tensor.HasField("shape") else None
    return GraphTensor(
        name=_text(value.name),
        data_type=TYPES.get(tensor.elem_type, ""),
        what=f"a tensor of {known}",
        dims=dims,
        batch=_text(tensor.shape.dim[0].dim_param) if dims else "",
    )


_ELEMENTS = frozenset(onnx.TensorProto.DataType.values())


def _text(value: str | bytes) -> str:
    """Return a name; protobuf gives those that are not UTF-8 as bytes."""
    if isinstance(value, bytes):
        raise _ReadError(FaultCode.UNREADABLE, f"is damaged ({value[:20]!r} in it is no name): export it again.")
    return value


def _size(dim: Any) -> int:
    return dim.dim_value if dim.HasField("dim_value") and dim.dim_value >= 0 else -1


def _whole_number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else 0


_EXPORT = "export the model to ONNX"


def _what_it_is(data: bytes) -> str:
    for magic, what in (
        (b"version https://git-lfs", "is a pointer of Git LFS: run `git lfs pull`, and copy the file itself"),
        (b"<", "is a web page: download the file itself"),
    ):
        if data.startswith(magic):
            return f"{what}."
    return f"is not an ONNX file: {_EXPORT}."
