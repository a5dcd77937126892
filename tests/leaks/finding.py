"""Finds API keys in what servers wrote: known by their form and checksum, so no test need say which it used."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from switchyard.gateway.tenants.keys import FORM, is_key

_PATTERN = FORM.removeprefix(r"\b").removesuffix(r"\b")
# Wherever it begins, as in a file of a store, where a length that looks like a letter may stand before it.
_FORM = re.compile(f"(?=({_PATTERN}))".encode())
_CHUNK = 8 * 1024 * 1024  # bytes that are looked at together
_OVERLAP = 64  # more than a key has: one may lie across two chunks
_WEIGHTS = (".onnx", ".safetensors")  # copies of models, gigabytes of them in a run: no server writes into those


def keys_in(data: bytes) -> set[str]:
    """The keys that are in ``data``."""
    return {found.decode() for found in _FORM.findall(data) if is_key(found)}


def leaks(folder: Path) -> list[str]:
    """The files below ``folder`` that hold keys, each with the beginning of one."""
    return [f"{path.relative_to(folder)}: {min(found)[:8]}…" for path in _files(folder) if (found := _keys_of(path))]


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):  # which follows no links
        for path in sorted(Path(parent, name) for name in names):
            if path.is_file() and not path.is_symlink() and path.suffix not in _WEIGHTS:
                yield path


def _keys_of(path: Path) -> set[str]:
    found, before = set[str](), b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            found |= keys_in(before + chunk)
            before = chunk[-_OVERLAP:]
    return found
