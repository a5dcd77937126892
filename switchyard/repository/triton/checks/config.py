"""Reads config.pbtxt, and says what contradicts itself or what this Triton cannot do, whatever the model is."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from switchyard.files import read_file
from switchyard.repository.inspection import Device
from switchyard.repository.names import quoted
from switchyard.repository.triton.faults import FaultError, nearest
from switchyard.repository.triton.schema import CONFIG, DataType, InstanceKind, ModelConfig, parse
from switchyard.repository.verdict import Fault, FaultCode, Format

MOST_BYTES = 256 * 1024  # an ensemble of a hundred steps has a tenth of it
MOST_INSTANCES = 64  # each has a copy of the weights
_FORMATS: Mapping[str, Format] = {"onnxruntime": "onnx", "python": "python", "ensemble": "ensemble"}
_PLATFORMS: Mapping[str, Format] = {"onnxruntime_onnx": "onnx", "ensemble": "ensemble"}
_MISTAKEN = {"onnx": "onnxruntime", "ort": "onnxruntime", "onnxruntime_onnx": "onnxruntime", "py": "python"}


def read_config(folder: Path, sizes: Mapping[str, int]) -> Any:
    """Return the folder's ``ModelConfig``, an empty one if it has no config.pbtxt.

    Raises:
        FaultError: it cannot be parsed.
    """
    if CONFIG not in sizes:
        for path in sizes:
            if path.lower() in (f"{CONFIG}.txt", CONFIG, "config.pbtx", "config.txt", "config.proto"):
                raise _error(path, f"{quoted(path)} is not read under this name: rename it to {CONFIG}.")
        return ModelConfig()
    if sizes[CONFIG] > MOST_BYTES:
        message = f"{CONFIG} has {sizes[CONFIG]} bytes, of {MOST_BYTES} that it may have: it holds no data."
        raise FaultError(Fault(code=FaultCode.TOO_LARGE, file=CONFIG, message=message))
    try:
        return parse(read_file(folder / CONFIG, MOST_BYTES).decode())
    except OSError as err:
        message = f"{CONFIG} cannot be read ({err.strerror}): correct its permissions."
        raise FaultError(Fault(code=FaultCode.UNREADABLE, file=CONFIG, message=message)) from err
    except UnicodeDecodeError as err:
        message = f"{CONFIG} is not text in UTF-8 (byte {err.start}): save it as such."
        raise FaultError(Fault(code=FaultCode.UNREADABLE, file=CONFIG, message=message)) from err
    except text_format.ParseError as err:
        raise _error(CONFIG, _sentence(err)) from err


def _sentence(err: text_format.ParseError) -> str:
    text = " ".join(str(err).split())
    line, column = err.GetLine(), err.GetColumn()
    where = f"{CONFIG}, line {line}, column {column}" if line else CONFIG
    if 'has no field named "' in text:
        message, _, field = text.partition('" has no field named "')
        like = nearest(field.rstrip('".'), _fields(message.rpartition("inference.")[2]))
        fix = f"write `{like}`" if like else "correct or remove it"
        return f"{where}: Triton has no field {quoted(field.rstrip(chr(34) + '.'))} there: {fix}."
    if "has no value named " in text:
        value = text.rpartition("has no value named ")[2].rstrip(".")
        fix = f"write {like}" if (like := _type_like(value)) else "write one of Triton's, such as TYPE_FP32"
        return f"{where}: Triton has no value {quoted(value)} there: {fix}."
    # What is left is about one token; the line of the file, which protobuf repeats, may be long.
    said = text.rpartition("': ")[2] if "': " in text else text.partition(" : ")[2] or text
    return f"{where}: {quoted(said.rstrip('.'), 120)[1:-1]}: correct it (protobuf's text format)."


def _fields(message: str) -> tuple[str, ...]:
    found = next((each for each in _messages(ModelConfig.DESCRIPTOR) if each.full_name == f"inference.{message}"), None)
    return tuple(found.fields_by_name) if found else ()


def _messages(descriptor: Any) -> Iterator[Any]:
    seen, todo = set(), [descriptor]
    while todo:
        found = todo.pop()
        if found.full_name not in seen:
            seen.add(found.full_name)
            yield found
            todo += [field.message_type for field in found.fields if field.message_type]


def _type_like(value: str) -> str:
    aliases = {"FLOAT": "FP32", "FLOAT32": "FP32", "FLOAT16": "FP16", "FLOAT64": "FP64", "DOUBLE": "FP64"}
    aliases |= {"INT": "INT64", "LONG": "INT64", "BYTES": "STRING", "HALF": "FP16"}
    plain = value.upper().removeprefix("TYPE_")
    names = (*DataType.keys(), *InstanceKind.keys())
    return f"TYPE_{aliases[plain]}" if plain in aliases else nearest(value, names)


def format_of(config: Any, sizes: Mapping[str, int]) -> Format:
    """Return the model's format by backend and platform, or by its files if there are neither.

    Raises:
        FaultError: this Triton has no such backend, or they contradict each other.
    """
    backend, platform = config.backend, config.platform
    if backend and backend not in _FORMATS:
        like = _MISTAKEN.get(backend.lower()) or nearest(backend, tuple(_FORMATS), likeness=0.8)
        fix = f'write `backend: "{like}"`' if like else "export the model to ONNX"
        raise _error(
            CONFIG, f"{CONFIG} wants the backend {quoted(backend)}; this Triton has onnxruntime and python: {fix}."
        )
    if platform and platform not in _PLATFORMS:
        fix = 'export the model to ONNX, and write `backend: "onnxruntime"` instead'
        raise _error(
            CONFIG,
            f"{CONFIG} wants the platform {quoted(platform)}; this Triton has onnxruntime_onnx and ensemble: {fix}.",
        )
    found = {_FORMATS[backend]} if backend else set()
    found |= {_PLATFORMS[platform]} if platform else set()
    if config.HasField("ensemble_scheduling"):
        found.add("ensemble")
    if len(found) > 1:
        raise _error(
            CONFIG,
            f"{CONFIG} is of {' and '.join(sorted(found))} at once, by its backend, platform and ensemble_scheduling: "
            "leave one of them.",
        )
    if found:
        return found.pop()
    files = {path.rpartition("/")[2] for path in sizes}
    return "python" if "model.py" in files and not any(file.endswith(".onnx") for file in files) else "onnx"


def config_faults(config: Any, name: str, device: Device) -> Iterator[Fault]:
    """Say what is wrong with everything but inputs, outputs and versions."""
    for message in _contradictions(config, name):
        yield Fault(code=FaultCode.CONFIG, file=CONFIG, message=message)
    for message in _instance_groups(config, device):
        yield Fault(code=FaultCode.CONFIG, file=CONFIG, message=message)


def _contradictions(config: Any, name: str) -> Iterator[str]:
    if config.name and config.name != name:
        yield f"{CONFIG} has the name {quoted(config.name)}, but the folder is {quoted(name)}: remove the line."
    if config.max_batch_size < 0:
        yield f"{CONFIG} says `max_batch_size: {config.max_batch_size}`: write 0 for no batching, or the most rows."
    for size in config.dynamic_batching.preferred_batch_size:
        if not 0 < size <= config.max_batch_size:
            yield (
                f"{CONFIG} prefers batches of {size}, with `max_batch_size: {config.max_batch_size}`: write a size "
                "from 1 to that, or leave preferred_batch_size out."
            )
    path = config.default_model_filename
    if path.startswith("/") or ".." in path.split("/"):
        yield f"{CONFIG} has the default_model_filename {quoted(path)}, outside its version: write a file in it."


def _instance_groups(config: Any, device: Device) -> Iterator[str]:
    for group in config.instance_group:
        if group.kind not in InstanceKind.values():
            yield f"{CONFIG} has an instance_group of kind {group.kind}: write KIND_AUTO."
        elif device.kind == "cpu" and (group.kind == InstanceKind.KIND_GPU or group.gpus):
            yield (
                f"{CONFIG} wants a GPU in instance_group, and vision models run on the CPU: write `kind: KIND_AUTO`, "
                "without gpus."
            )
        if group.count < 0:
            yield f"{CONFIG} has an instance_group of {group.count}: write a count of at least 1, or leave it out."
    if (count := instances(config)) > MOST_INSTANCES:
        yield f"{CONFIG} wants {count} instances, each with its own copy of the model: write at most {MOST_INSTANCES}."


def instances(config: Any) -> int:
    """Return how many instances of the model Triton runs."""
    return sum(max(group.count, 1) * max(len(group.gpus), 1) for group in config.instance_group) or 1


def _error(file: str, message: str) -> FaultError:
    return FaultError(Fault(code=FaultCode.CONFIG, file=file, message=message))
