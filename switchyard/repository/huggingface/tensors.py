"""The headers of ``*.safetensors``: which tensors a model has, of which shape and type, in which file.

The format: 8 bytes with the length of a JSON header, that header, the tensors' bytes without gaps
(https://github.com/huggingface/safetensors#format).
"""

import json
import math
import os
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from switchyard.repository.huggingface.documents import MIB, FaultError, listed, read_object, reject_pointer, shown
from switchyard.repository.verdict import FaultCode

INDEX = "model.safetensors.index.json"
_INDEX_BYTES = 64 * MIB  # a line for each of some 100,000 tensors
# The format allows 100 MB. A tensor takes about 150 bytes, so that the largest models of today have under 1 MB a file.
HEADER_BYTES = 16 * MIB
_LENGTH_BYTES = 8
# The library maps the whole file, for which the address space of a judging process is too small.
_MAPPED_BYTES = 1024 * MIB
_FILES = 1000
_NUMBERS = 34  # 32 dimensions, as many as NumPy has had, and where the bytes begin and end
_PACKED, _SCALES = (".qweight", ".weight_packed"), (".scales", "_scale", "_scale_inv", "_zero_point")
_NUMBERED = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.safetensors")
# The format's names of types, in bits (safetensors, Dtype::bitsize).
_BITS = {"BOOL": 8, "U8": 8, "I8": 8, "F4": 4, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "U16": 16, "I16": 16}
_BITS |= {"F16": 16, "BF16": 16, "U32": 32, "I32": 32, "F32": 32, "U64": 64, "I64": 64, "F64": 64, "C64": 64}
_BITS |= {"F6_E2M3": 6, "F6_E3M2": 6, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8}


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightTensor:
    """One tensor of a file; ``dtype`` is the format's, such as "BF16", and its bytes begin at ``start``."""

    file: str
    shape: tuple[int, ...]
    dtype: str
    start: int = 0

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.size * _BITS[self.dtype] // 8


def count_parameters(tensors: Mapping[str, WeightTensor], packed_bits: int) -> int:
    """Return how many weights there are; ``packed_bits`` is as of ``ModelConfig``.

    Scales and zero points of quantized weights are none, nor are integers such as the positions that BERT keeps.
    """
    total = 0
    for name, tensor in tensors.items():
        if packed_bits and name.endswith(_PACKED):
            total += tensor.size * _BITS[tensor.dtype] // packed_bits
        elif "F" in tensor.dtype and not name.endswith(_SCALES):
            total += tensor.size
    return total


def read_weights(folder: Path) -> dict[str, WeightTensor]:
    """Return the tensors of the folder's weights by name.

    Raises:
        FaultError: files are missing or cut off (INCOMPLETE), or a file is not what the format says (WEIGHTS).
    """
    index = read_index(folder)
    tensors: dict[str, WeightTensor] = {}
    for file in sorted(set(index.values())) or _files(folder):
        tensors |= _read_headers(folder, file)
    if missing := [name for name in index if name not in tensors]:
        file = index[missing[0]]
        sentence = f"{INDEX} names the tensor {listed(missing, 1)} in {shown(file)}, which has none of this name: "
        raise FaultError(FaultCode.WEIGHTS, sentence + "copy the index and all files of one export.", INDEX)
    if not tensors:
        raise FaultError(
            FaultCode.WEIGHTS, "The *.safetensors have no tensor: export the model again.", _files(folder)[0]
        )
    return tensors


def read_index(folder: Path) -> Mapping[str, str]:
    """Return the file of each tensor by ``model.safetensors.index.json``, nothing if there is none."""
    if not (folder / INDEX).exists():
        return {}
    names = read_object(folder, INDEX, FaultCode.WEIGHTS, _INDEX_BYTES).get("weight_map")
    if not isinstance(names, dict) or not names or not all(isinstance(file, str) for file in names.values()):
        sentence = f'{INDEX} has no "weight_map" from tensors to files: export the model again, or delete the index.'
        raise FaultError(FaultCode.WEIGHTS, sentence, INDEX)
    files = sorted(set(names.values()))
    if outside := [file for file in files if "/" in file or "\0" in file or not file.endswith(".safetensors")]:
        sentence = f"{INDEX} names {listed(outside, 1)}, which is no *.safetensors of this folder: correct the index."
        raise FaultError(FaultCode.LINK, sentence, INDEX)
    if missing := [file for file in files if not (folder / file).is_file()]:
        sentence = f"{INDEX} names {len(files)} files, of which {listed(missing)} {_are(missing)} missing: copy them."
        raise FaultError(FaultCode.INCOMPLETE, sentence, missing[0])
    return names


def _files(folder: Path) -> list[str]:
    """Return the files that vLLM would read without an index, all of a numbered set."""
    names = sorted(name for name in os.listdir(folder) if name.endswith(".safetensors"))
    if not names:
        sentence = "The folder has no weights in safetensors: copy model.safetensors, or all of model-*.safetensors."
        raise FaultError(FaultCode.INCOMPLETE, sentence)
    for stem, last in {(match[1], match[3]) for name in names if (match := _NUMBERED.fullmatch(name))}:
        whole = (f"{stem}-{number:05}-of-{last}.safetensors" for number in range(1, min(int(last), _FILES) + 1))
        if missing := [name for name in whole if name not in names]:
            sentence = (
                f"Of the {int(last)} numbered files of weights {listed(missing)} {_are(missing)} missing: copy them."
            )
            raise FaultError(FaultCode.INCOMPLETE, sentence, missing[0])
    return names


def _are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _read_headers(folder: Path, file: str) -> Iterator[tuple[str, WeightTensor]]:
    path = folder / file
    try:
        size = path.stat().st_size
        with path.open("rb") as opened:
            start = opened.read(64)
            reject_pointer(start, file)
            length = _header_length(start, size, file)
            opened.seek(_LENGTH_BYTES)
            header = opened.read(length)
    except OSError as err:
        sentence = f"{file} cannot be read ({err.strerror}): copy it again."
        raise FaultError(FaultCode.WEIGHTS, sentence, file) from None
    try:
        tensors = json.loads(header, object_pairs_hook=_once)
        tensors.pop("__metadata__", None)
        end = max((int(tensor["data_offsets"][1]) for tensor in tensors.values()), default=0)
        yield from _tensors(tensors, file, _LENGTH_BYTES + length)
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as err:
        raise _invalid(file, str(err)) from None
    whole = _LENGTH_BYTES + length + end
    if size < whole:
        sentence = f"{file} has {size} bytes, but its header says {whole}: copy it again."
        raise FaultError(FaultCode.INCOMPLETE, sentence, file)
    if size > whole:
        raise _invalid(file, f"{size - whole} bytes follow its tensors")
    if size <= _MAPPED_BYTES:
        _check_by_library(path, file)


def _header_length(start: bytes, size: int, file: str) -> int:
    if size < _LENGTH_BYTES:
        raise FaultError(FaultCode.INCOMPLETE, f"{file} has only {size} bytes: copy it again.", file)
    length: int = struct.unpack("<Q", start[:_LENGTH_BYTES])[0]
    if length > HEADER_BYTES:
        sentence = (
            f"{file} says that its header has {length} bytes, of which at most {HEADER_BYTES} are read: "
            "it is no safetensors file, or a broken one; export the model again."
        )
        raise FaultError(FaultCode.TOO_LARGE, sentence, file)
    if _LENGTH_BYTES + length > size:
        sentence = f"{file} has {size} bytes, but its header alone has {_LENGTH_BYTES + length}: copy it again."
        raise FaultError(FaultCode.INCOMPLETE, sentence, file)
    return length


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a name stands twice in its header")
    return values


def _tensors(header: Mapping[str, Any], file: str, data: int) -> Iterator[tuple[str, WeightTensor]]:
    """Yield the tensors of a header; ``data`` is where their bytes begin.

    Raises:
        ValueError: their bytes do not follow each other.
    """
    end = 0
    for name, value in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        start = data + value["data_offsets"][0]
        tensor = WeightTensor(file=file, shape=tuple(value["shape"]), dtype=value["dtype"], start=start)
        numbers = (*tensor.shape, *value["data_offsets"])
        if len(numbers) > _NUMBERS or any(type(number) is not int or not 0 <= number < 2**48 for number in numbers):
            raise ValueError(f"the tensor {name} has a size that is no whole number")
        first, last = value["data_offsets"]
        if first != end or (last - first) * 8 != tensor.size * _BITS[tensor.dtype]:
            raise ValueError(f"the tensor {name} has other bytes than its shape says, or a gap before them")
        end = last
        yield name, tensor


def _check_by_library(path: Path, file: str) -> None:
    try:
        with safe_open(path, "np"):
            pass
    except (SafetensorError, OSError) as err:
        raise _invalid(file, str(err).removeprefix("Error while deserializing header: ")) from None


def _invalid(file: str, reason: str) -> FaultError:
    sentence = f"{file} is no valid safetensors file ({shown(reason)}): copy it again, or export the model again."
    return FaultError(FaultCode.WEIGHTS, sentence, file)
