"""What a graph tells of the values that it takes: a category or an index that it does not know ends its run."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx
from onnx import helper, numpy_helper

ALL = -1  # in place of a column: each of them
_Columns = tuple[tuple[str, int], ...]  # of one tensor: the input that each is of, and its place there

_KEYS = ("cats_strings", "cats_int64s", "keys_strings", "keys_int64s", "keys_floats")
_KEYED = frozenset(("OneHotEncoder", "LabelEncoder", "CategoryMapper"))
_INDEXED = frozenset(("Gather", "GatherElements", "GatherND", "ScatterElements", "ScatterND", "ArrayFeatureExtractor"))
# Operators that give their first input's values on, in the same columns as far as anybody exports them.
_PASSING = frozenset(("Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Imputer"))
_MOST_COLUMNS = 1024  # of a tensor, and a thousand times that in all: a table has tens
_MOST = _MOST_COLUMNS * 1000

# What ONNX Runtime 1.31 says of a value, other than of a shape or type; ``stod`` and others read a number from text.
_OF_VALUE = re.compile(
    r"Unknown Category|out of data bounds|Out of range value|invalid indice? found|invalid index found"
    r"|index is out of range|: sto(d|f|i|l|ll|ul|ull)$"
)
_OPERATOR = re.compile(r"while running (\w+) node")


@dataclass(slots=True)
class TakenValues:
    """``known`` has values of inputs by column; ``fixed`` are operators whose indices are the graph's own alone."""

    known: dict[str, dict[int, str | int | float]] = field(default_factory=dict)
    fixed: frozenset[str] = frozenset()


def operator_of_value(error: str) -> str:
    """Return the operator that failed because of a value, empty if a run failed for another reason."""
    said = " ".join(error.split())
    operators = _OPERATOR.findall(said)
    return operators[-1] if operators and _OF_VALUE.search(said) else ""


def taken_values(path: Path) -> TakenValues:
    """Read from the graph in ``path`` which values its inputs may have."""
    graph = onnx.load(path, load_external_data=False).graph
    return _Trace(graph).values


class _Trace:
    """Follows the columns of inputs through a graph, whose nodes are in the order in which they run."""

    def __init__(self, graph: Any) -> None:
        self.values = TakenValues()
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        inputs = [each for each in graph.input if each.name not in self._constants]
        self._columns: dict[str, _Columns] = {each.name: _columns(each) for each in inputs}
        self._left = _MOST
        reached = set(self._columns)
        indexed: dict[str, bool] = {}
        for node in graph.node:
            if node.op_type == "Constant":
                for attribute in node.attribute:
                    if attribute.name == "value":
                        self._constants[node.output[0]] = attribute.t
            if node.op_type in _INDEXED:
                comes = len(node.input) > 1 and node.input[1] in reached
                indexed[node.op_type] = indexed.get(node.op_type, False) or comes
            if not reached.isdisjoint(node.input):
                reached.update(node.output)
            self._node(node)
        self.values.fixed = frozenset(operator for operator, comes in indexed.items() if not comes)

    def _node(self, node: Any) -> None:
        given = self._columns.get(node.input[0], ()) if node.input else ()
        if node.op_type in _KEYED and given:
            self._keep(given, next(_keys(node), ()))
        elif node.op_type in _PASSING and given:
            self._put(node, given)
        elif node.op_type in ("Gather", "ArrayFeatureExtractor") and given:
            self._put(node, tuple(self._chosen(node, given)))
        elif node.op_type == "Concat":
            self._put(node, tuple(column for name in node.input for column in self._columns.get(name, ())))

    def _put(self, node: Any, columns: _Columns) -> None:
        self._left -= len(columns)
        if columns and self._left > 0 and len(columns) <= _MOST_COLUMNS:
            self._columns[node.output[0]] = columns

    def _chosen(self, node: Any, given: _Columns) -> Iterator[tuple[str, int]]:
        indices = self._constants.get(node.input[1]) if len(node.input) > 1 else None
        if len(given) == 1:
            yield from given
        elif indices is not None and indices.data_location != onnx.TensorProto.EXTERNAL:
            for index in numpy_helper.to_array(indices).ravel()[:_MOST_COLUMNS].tolist():
                if -len(given) <= index < len(given):
                    yield given[index]

    def _keep(self, columns: _Columns, keys: Sequence[Any]) -> None:
        for name, column in columns if keys else ():
            self.values.known.setdefault(name, {}).setdefault(column, keys[0])


def _columns(tensor: Any) -> _Columns:
    dims = tensor.type.tensor_type.shape.dim
    width = dims[-1].dim_value if dims else 0
    return tuple((tensor.name, n) for n in range(width)) if 1 < width <= _MOST_COLUMNS else ((tensor.name, ALL),)


def _keys(node: Any) -> Iterator[Sequence[Any]]:
    for attribute in node.attribute:
        if attribute.name in _KEYS and (keys := helper.get_attribute_value(attribute)):
            yield [key.decode(errors="replace") if isinstance(key, bytes) else key for key in keys[:1]]


def with_known(value: Any, known: Mapping[int, str | int | float]) -> Any:
    """Put values that the graph knows into an array, each in its column; those of another type are left out."""
    for column, key in known.items():
        place = ... if column == ALL else (..., column)
        try:
            value[place] = str(key) if value.dtype == object else key
        except (ValueError, OverflowError, IndexError):
            continue  # a word for a number, or a column that config.pbtxt does not have
    return value
