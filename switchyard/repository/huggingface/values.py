"""The numbers of the weights: a model with NaN among them loads, passes its warm-up, and then says nothing."""

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from switchyard.repository.huggingface.documents import FaultError, listed, shown
from switchyard.repository.huggingface.shapes import EMBEDDING
from switchyard.repository.huggingface.tensors import WeightTensor
from switchyard.repository.verdict import Fault, FaultCode

# A model of a billion weights in 16 bits, looked through within one to three seconds. Of larger ones, as much in all.
MOST_BYTES = 2 << 30
_WINDOWS = 8  # parts that are read of a larger tensor: they find what overwrote much of it, not a single number
_CHUNK = 256 * 1024  # fits a processor's cache, with what is computed of it
_ALIGNED = 8  # bytes of the widest number
# The bits by which a number of each type is known as NaN or infinity: of IEEE 754 an exponent of ones; E4M3 and E8M0
# have NaN alone (https://arxiv.org/abs/2209.05433), and so have the FNUZ types, as a sign bit before zeros.
_PATTERNS: dict[str, tuple[type[np.unsignedinteger], int, int]] = {
    "F64": (np.uint64, 0x7FF << 52, 0x7FF << 52),
    "F32": (np.uint32, 0x7F80_0000, 0x7F80_0000),
    "F16": (np.uint16, 0x7C00, 0x7C00),
    "BF16": (np.uint16, 0x7F80, 0x7F80),
    "F8_E5M2": (np.uint8, 0x7C, 0x7C),
    "F8_E4M3": (np.uint8, 0x7F, 0x7F),
    "F8_E8M0": (np.uint8, 0xFF, 0xFF),
    "F8_E4M3FNUZ": (np.uint8, 0xFF, 0x80),
    "F8_E5M2FNUZ": (np.uint8, 0xFF, 0x80),
}
_HIDING = ("mask", "attn_bias")  # what some models keep to hide tokens from each other is minus infinity by design


def check_values(folder: Path, tensors: Mapping[str, WeightTensor]) -> Iterator[Fault]:
    """Yield a fault for NaN or infinity in the weights, and for a token embedding of nothing but zeros.

    All is read of weights of up to ``MOST_BYTES``; of larger ones, equal parts of each tensor that is not small.

    Raises:
        FaultError: a file cannot be read (WEIGHTS).
    """
    odd, empty, embeddings = [], [], 0
    whole = sum(tensor.bytes for tensor in tensors.values()) <= MOST_BYTES
    for name, tensor, opened in _opened(folder, tensors):
        most = tensor.bytes if whole else MOST_BYTES // len(tensors)
        if tensor.dtype in _PATTERNS and not any(word in name for word in _HIDING) and _is_odd(opened, tensor, most):
            odd.append(name)
        if EMBEDDING.fullmatch(name) and tensor.size:
            embeddings += 1
            empty += [] if any(chunk.any() for chunk in _chunks(opened, tensor, most)) else [name]
    if odd:
        yield _numbers(odd, tensors)
    if empty and len(empty) == embeddings:  # a multimodal model has several
        file = tensors[empty[0]].file
        sentence = (
            f"{file} has nothing but zeros in {shown(empty[0])}, the vectors of all tokens: copy the weights again, or "
            "export the model again."
        )
        yield Fault(code=FaultCode.WEIGHTS, message=sentence, file=file)


def _numbers(names: list[str], tensors: Mapping[str, WeightTensor]) -> Fault:
    file = tensors[names[0]].file
    sentence = (
        f"{file} has NaN or infinity in {listed(names, 1)} of {len(tensors)} tensors: copy the weights again; if "
        "they are the same then, take a checkpoint from before its training diverged."
    )
    return Fault(code=FaultCode.WEIGHTS, message=sentence, file=file)


def _opened(folder: Path, tensors: Mapping[str, WeightTensor]) -> Iterator[tuple[str, WeightTensor, BinaryIO]]:
    """Yield the tensors in the order of their bytes, each with its file."""
    ordered = sorted(tensors.items(), key=lambda item: (item[1].file, item[1].start))
    for file, inside in itertools.groupby(ordered, key=lambda item: item[1].file):
        try:
            with (folder / file).open("rb", buffering=0) as opened:
                for name, tensor in inside:
                    yield name, tensor, opened
        except OSError as err:
            sentence = f"{file} cannot be read ({err.strerror}): copy it again."
            raise FaultError(FaultCode.WEIGHTS, sentence, file) from None


def _is_odd(opened: BinaryIO, tensor: WeightTensor, most: int) -> bool:
    kind, bits, pattern = _PATTERNS[tensor.dtype]
    for chunk in _chunks(opened, tensor, most):
        numbers = chunk.view(kind)
        if ((numbers & kind(bits)) == kind(pattern)).any():
            return True
    return False


def _chunks(opened: BinaryIO, tensor: WeightTensor, most: int) -> Iterator["NDArray[np.uint8]"]:
    """Yield bytes of a tensor, ``most`` at the most: its windows, from the first byte to the last."""
    windows = 1 if tensor.bytes <= most else _WINDOWS
    length = tensor.bytes if windows == 1 else most // _WINDOWS // _ALIGNED * _ALIGNED
    for index in range(windows):
        gap = (tensor.bytes - length) * index // max(1, windows - 1) // _ALIGNED * _ALIGNED
        opened.seek(tensor.start + gap)
        for size in [_CHUNK] * (length // _CHUNK) + [length % _CHUNK]:
            chunk = np.frombuffer(opened.read(size), np.uint8)
            if len(chunk) < size:
                return  # the file is being written; what is hashed later tells
            yield chunk
