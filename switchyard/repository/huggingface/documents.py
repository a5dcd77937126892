"""Reads the files of a model's folder, each within its bound; what cannot be read is a fault with its sentence."""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from switchyard.files import read_file
from switchyard.repository.verdict import Fault, FaultCode

MIB = 1024 * 1024
JSON_BYTES = 4 * MIB  # configurations have a few KB, and those that name each layer's quantization a few 100
_POINTER = b"version https://git-lfs"
_NAME_CHARACTERS = 80
_WHOLE_NUMBER = 2**40  # beyond every count of a model; products of a few stay exact and cheap

_UNBOUNDED = ("time_step_limit",)  # [0, Infinity] in the configurations of Mamba 2 and of what contains it


class FaultError(Exception):
    """Nothing more can be said of a file than the fault that this carries."""

    def __init__(self, code: FaultCode, message: str, file: str = "") -> None:
        super().__init__(message)
        self.fault = Fault(code=code, message=message, file=file)


def shown(text: str) -> str:
    """Return a name or text from a file as a sentence may show it: short, and without control characters."""
    text = text if len(text) <= _NAME_CHARACTERS else text[: _NAME_CHARACTERS - 1] + "…"
    return text if text.isprintable() else repr(text)


def shown_value(value: object) -> str:
    """Return a value of a JSON file as it stands there, short."""
    try:
        return shown(json.dumps(value, ensure_ascii=False))
    except RecursionError:  # it was read at another depth of calls
        return "a value of many levels"


def listed(names: Iterable[str], most: int = 3) -> str:
    """Return the first ``most`` names and how many more there are."""
    every = [shown(name) for name in names]
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def read_bytes(folder: Path, name: str, most: int, code: FaultCode) -> bytes:
    """Return the contents of the file ``name``.

    Raises:
        FaultError: it is missing (INCOMPLETE), longer than ``most`` (TOO_LARGE), or cannot be read (``code``).
    """
    path = folder / name
    try:
        size = path.stat().st_size
        if size > most:
            sentence = f"{name} has {size} bytes, of which at most {most} are read: replace it by one of a usual size."
            raise FaultError(FaultCode.TOO_LARGE, sentence, name)
        data = read_file(path, most)
    except FileNotFoundError:
        raise FaultError(FaultCode.INCOMPLETE, f"{name} is missing: copy it into the folder.", name) from None
    except OSError as err:
        sentence = f"{name} cannot be read ({err.strerror}): copy it into the folder again."
        raise FaultError(code, sentence, name) from err
    reject_pointer(data, name)
    return data


def reject_pointer(start: bytes, name: str) -> None:
    """Raise a FaultError if a file that begins with ``start`` only says where Git LFS keeps the file."""
    if start.startswith(_POINTER):
        sentence = f"{name} is a pointer of Git LFS and not the file: run `git lfs pull`, and copy what it brings."
        raise FaultError(FaultCode.INCOMPLETE, sentence, name)


def read_text(folder: Path, name: str, most: int, code: FaultCode) -> str:
    """Return the text of the file ``name``, which is UTF-8.

    Raises:
        FaultError: as of ``read_bytes``, or it is not UTF-8 (``code``).
    """
    try:
        return read_bytes(folder, name, most, code).decode("utf-8-sig")
    except UnicodeDecodeError as err:
        sentence = f"{name} is not UTF-8 text (byte {err.start}): save it as UTF-8, or copy it again."
        raise FaultError(code, sentence, name) from None


def read_json(folder: Path, name: str, code: FaultCode, most: int = JSON_BYTES) -> Any:
    """Return the JSON of the file ``name``.

    Raises:
        FaultError: as of ``read_text``, or it is not JSON (``code``).
    """
    text = read_text(folder, name, most, code)
    if not text.strip():
        raise FaultError(FaultCode.INCOMPLETE, f"{name} is empty: copy it into the folder again.", name)
    try:
        return json.loads(text)
    except json.JSONDecodeError as err:
        sentence = f"{name} is not JSON ({err.msg}, line {err.lineno}, column {err.colno}): correct it there."
        raise FaultError(code, sentence, name) from None
    except (ValueError, RecursionError):
        sentence = f"{name} nests too deeply, or has a number of thousands of digits: write it as the model's tools do."
        raise FaultError(code, sentence, name) from None


def read_object(folder: Path, name: str, code: FaultCode, most: int = JSON_BYTES) -> dict[str, Any]:
    """Return the JSON object of the file ``name``.

    Raises:
        FaultError: as of ``read_json``, or it is another value (``code``).
    """
    value = read_json(folder, name, code, most)
    if not isinstance(value, dict):
        raise FaultError(code, f"{name} has to be a JSON object, such as {{…}}: copy the model's own file.", name)
    return value


def whole_number(values: dict[str, Any], names: Iterable[str], file: str, *, least: int = 1) -> int | None:
    """Return the first of ``names`` in ``values`` that is there and not null.

    Raises:
        FaultError: it is no whole number of at least ``least`` (MODEL_CONFIG).
    """
    for name in names:
        value = values.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _WHOLE_NUMBER:
            sentence = f"{file} says that {name} is {shown_value(value)}: write a whole number of at least {least}."
            raise FaultError(FaultCode.MODEL_CONFIG, sentence, file)
        return value
    return None


def reject_infinite(values: dict[str, Any], file: str) -> None:
    """Raise a FaultError (MODEL_CONFIG) if a number at any depth of ``values`` is NaN or infinite.

    Python's JSON has such numbers, and computing with them yields NaN for every token.
    """
    waiting: list[tuple[str, Any]] = [("", values)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [(str(key), part) for key, part in value.items()]
        elif isinstance(value, list):
            waiting += [(name, part) for part in value]
        elif isinstance(value, float) and not math.isfinite(value) and name not in _UNBOUNDED:
            sentence = f"{file} says that {shown(name)} is {value}: write a finite number, as the model's own file has."
            raise FaultError(FaultCode.MODEL_CONFIG, sentence, file)


def mapping(values: dict[str, Any], name: str, file: str) -> dict[str, Any] | None:
    """Return the object that ``values`` has under ``name``; None if there is none.

    Raises:
        FaultError: it is another value (MODEL_CONFIG).
    """
    value = values.get(name)
    if value is None or isinstance(value, dict):
        return value
    sentence = f"{file} says that {name} is {shown_value(value)}: it has to be an object, or to be left out."
    raise FaultError(FaultCode.MODEL_CONFIG, sentence, file)
