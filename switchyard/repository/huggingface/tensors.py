"""The headers of ``*.safetensors``: which tensors a model has, of which shape and type, in which file.

The format: 8 bytes with the length of a JSON header, that header, the tensors' bytes without gaps
(https://github.com/huggingface/safetensors#format). The library checks it when a file is opened.
"""

import json
import math
import os
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from switchyard.repository.huggingface.documents import MIB, FaultError, listed, read_object, reject_pointer, shown
from switchyard.repository.verdict import FaultCode

INDEX = "model.safetensors.index.json"
_INDEX_BYTES = 64 * MIB  # a line for each of some 100,000 tensors
# The format allows 100 MB. A tensor takes about 150 bytes, so that the largest models of today have under 1 MB a file.
_HEADER_BYTES = 32 * MIB
_FILES = 1000
_NUMBERED = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.safetensors")
# The format's names of types, in bits (safetensors, Dtype::bitsize).
_BITS = {"BOOL": 8, "U8": 8, "I8": 8, "F4": 4, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "U16": 16, "I16": 16}
_BITS |= {"F16": 16, "BF16": 16, "U32": 32, "I32": 32, "F32": 32, "U64": 64, "I64": 64, "F64": 64, "C64": 64}
_BITS |= {"F6_E2M3": 6, "F6_E3M2": 6}


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightTensor:
    """One tensor of a file; ``dtype`` is the format's, such as "BF16"."""

    file: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.size * _BITS.get(self.dtype, 8) // 8


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
    # Mistral's own format, beside which the same weights lie in Hugging Face's.
    names = [name for name in names if not name.startswith("consolidated")] or names
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
    from safetensors import SafetensorError, safe_open  # with numpy: 0.1 s, which not every command needs

    _check_lengths(folder / file, file)
    try:
        with safe_open(folder / file, "np") as opened:
            for name in opened.keys():  # noqa: SIM118 - the library's object is no mapping
                header = opened.get_slice(name)
                yield name, WeightTensor(file=file, shape=tuple(header.get_shape()), dtype=header.get_dtype())
    except SafetensorError as err:
        size, whole = (folder / file).stat().st_size, _declared_bytes(folder / file)
        if size < whole:
            sentence = f"{file} has {size} bytes, but its header says {whole}: copy it again."
            raise FaultError(FaultCode.INCOMPLETE, sentence, file) from None
        reason = shown(str(err).removeprefix("Error while deserializing header: "))
        sentence = f"{file} is no valid safetensors file ({reason}): copy it again, or export the model again."
        raise FaultError(FaultCode.WEIGHTS, sentence, file) from None
    except OSError as err:
        sentence = f"{file} cannot be read ({err.strerror}): copy it again."
        raise FaultError(FaultCode.WEIGHTS, sentence, file) from None


def _check_lengths(path: Path, file: str) -> None:
    """Raise a FaultError for a header that is too long to be read, and for a file that ends before its header."""
    size = path.stat().st_size
    with path.open("rb") as opened:
        start = opened.read(64)
    reject_pointer(start, file)
    if size < 8:
        raise FaultError(FaultCode.INCOMPLETE, f"{file} has only {size} bytes: copy it again.", file)
    length = struct.unpack("<Q", start[:8])[0]
    if length > _HEADER_BYTES:
        sentence = (
            f"{file} says that its header has {length} bytes, of which at most {_HEADER_BYTES} are read: "
            "it is no safetensors file, or a broken one; export the model again."
        )
        raise FaultError(FaultCode.TOO_LARGE, sentence, file)
    if 8 + length > size:
        sentence = f"{file} has {size} bytes, but its header alone has {8 + length}: copy it again."
        raise FaultError(FaultCode.INCOMPLETE, sentence, file)


def _declared_bytes(path: Path) -> int:
    """Return the length of the file by its header, 0 if the header does not say."""
    with path.open("rb") as opened:
        length = struct.unpack("<Q", opened.read(8))[0]
        try:
            header = json.loads(opened.read(length))
            ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
            return int(8 + length + max(ends))
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            return 0
