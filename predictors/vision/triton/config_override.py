"""The configuration that an operator gives with a load: the model's own with some fields changed, and no others.

Triton would take any: another backend, files of its machine, an environment to unpack and run, any number of processes.
What is in a field that may change, Triton and the backend check against the graph.
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_model_repository.md#load
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from switchyard.http.api_errors import ApiError
from switchyard.http.json_body import parse_object

MOST_BYTES = 64 * 1024  # a config of a hundred tensors has a third of it
MOST_INSTANCES = 16  # of all groups; each is a process with its own copy of the weights

_CHANGEABLE = ("max_batch_size", "input", "output", "dynamic_batching", "instance_group", "version_policy")
_THREADS = ("intra_op_thread_count", "inter_op_thread_count")
_MOST_THREADS = 64
_LARGEST_SIZE = 2**31 - 1  # of a dimension; numpy and ONNX Runtime index by 64 bits, but no tensor here has more
_LEFT_OUT: tuple[object, ...] = (None, False, "", "0", "PRIORITY_DEFAULT", [], {})


def overridden(config: Mapping[str, Any], override: str) -> str:
    """Return the loaded model's ``config`` as JSON, with the fields of the JSON object ``override`` in their place.

    Raises:
        ApiError: 400 it is no such object, too long, or changes what may not be changed.
    """
    if len(override) > MOST_BYTES:
        raise _rejected(f"has {len(override)} bytes; {MOST_BYTES} are taken at most")
    given = parse_object(override.encode())
    for field, value in given.items():
        if field == "parameters":
            _check_parameters(config.get(field) or {}, value)
        elif field not in _CHANGEABLE and _plain(value) != _plain(config.get(field)):
            changeable = ", ".join((*_CHANGEABLE, *(f"parameters.{name}" for name in _THREADS)))
            raise _rejected(f"changes {field[:80]!r}, which only the model's folder can; {changeable} may be given")
    if "instance_group" in given:
        _check_instances(given["instance_group"])
    for field in ("input", "output"):
        if field in given:
            _check_dims(field, given[field])
    if "output" in given:
        _check_labels(config.get("output") or (), given["output"])
    return orjson.dumps({**config, **given}).decode()


def _check_parameters(own: Mapping[str, Any], given: Any) -> None:
    if not isinstance(given, dict):
        raise _rejected("has `parameters` that are no object")
    for name in {*own, *given}:
        if _plain(own.get(name)) == _plain(given.get(name)):
            continue
        value = given.get(name)
        text = value.get("string_value") if isinstance(value, dict) and len(value) == 1 else None
        threads = int(text) if isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) < 4 else -1
        if name not in _THREADS or not 0 <= threads <= _MOST_THREADS:
            allowed = f"{' and '.join(_THREADS)} may be given, 0 to {_MOST_THREADS} as {{'string_value': '2'}}"
            raise _rejected(f"changes parameter {name[:80]!r}; {allowed}")


def _check_instances(groups: Any) -> None:
    counts = [group.get("count", 1) for group in _objects("instance_group", groups)]
    if not all(type(count) is int and count > 0 for count in counts) or sum(counts) > MOST_INSTANCES:
        raise _rejected(f"asks for more than {MOST_INSTANCES} instances, or for a number that is none")


def _check_dims(field: str, tensors: Any) -> None:
    """Reject what Triton takes, and fails at with each request: it looks at dimensions when it has a tensor."""
    for tensor in _objects(field, tensors):
        reshape = tensor.get("reshape")
        shapes = (tensor.get("dims", []), reshape.get("shape", []) if isinstance(reshape, dict) else [])
        if not all(isinstance(shape, list) and all(map(_is_size, shape)) for shape in shapes):
            raise _rejected(f"has {field} dims that are no list of sizes: from 1, or -1 where each request has its own")


def _is_size(size: Any) -> bool:
    """Return whether a dimension can be, as a number or as the string that protobuf's JSON makes of it."""
    text = str(size) if type(size) in (int, str) else ""
    return text == "-1" or (text.isascii() and text.isdecimal() and 0 < int(text[:20]) <= _LARGEST_SIZE)


def _check_labels(own: Sequence[Mapping[str, Any]], outputs: Any) -> None:
    files = {tensor.get("label_filename", "") for tensor in own}
    for tensor in _objects("output", outputs):
        if tensor.get("label_filename", "") not in {"", *files}:
            raise _rejected("names another `label_filename`; labels are those of the model's folder")


def _plain(value: Any) -> Any:
    """Return a value of protobuf's JSON without what it may leave out, and with numbers as the strings they may be."""
    if isinstance(value, dict):
        value = {key: plain for key, inner in value.items() if (plain := _plain(inner)) is not None}
    elif isinstance(value, list):
        value = [_plain(inner) for inner in value]
    elif type(value) is int:
        value = str(value)
    return None if value in _LEFT_OUT else value


def _objects(field: str, value: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise _rejected(f"has a {field!r} that is no list of objects")
    yield from value


def _rejected(what: str) -> ApiError:
    return ApiError("invalid_value", f"the config that was sent with the load {what}", param="parameters.config")
