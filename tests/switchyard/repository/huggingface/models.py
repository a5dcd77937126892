"""Small models to judge, and ways to break them."""

import json
import shutil
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[4] / "model-repository" / "llm"

Break = Callable[[Path], None]


def copy_of(name: str, target: Path) -> Path:
    """Copy a shipped model to ``target / name``."""
    return shutil.copytree(REPOSITORY / name, target / name)


def edit(file: str, **values: Any) -> Break:
    """Set keys of a JSON file; ``...`` removes one."""

    def change(folder: Path) -> None:
        document = json.loads((folder / file).read_text()) if (folder / file).exists() else {}
        document |= values
        document = {key: value for key, value in document.items() if value is not ...}
        (folder / file).write_text(json.dumps(document))

    return change


def write(file: str, content: str | bytes) -> Break:
    def change(folder: Path) -> None:
        path = folder / file
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    return change


def append(file: str, content: bytes) -> Break:
    def change(folder: Path) -> None:
        with (folder / file).open("ab") as opened:
            opened.write(content)

    return change


def rename(old: str, new: str) -> Break:
    def change(folder: Path) -> None:
        (folder / old).rename(folder / new)

    return change


def remove(*files: str) -> Break:
    def change(folder: Path) -> None:
        for file in files:
            (folder / file).unlink()

    return change


def cut(file: str, size: int) -> Break:
    """Leave the first ``size`` bytes; a negative number leaves out as many at the end."""

    def change(folder: Path) -> None:
        content = (folder / file).read_bytes()
        (folder / file).write_bytes(content[:size])

    return change


def both(*changes: Break) -> Break:
    def change(folder: Path) -> None:
        for one in changes:
            one(folder)

    return change


def safetensors(tensors: Mapping[str, tuple[str, tuple[int, ...], int]], *, data: bool = True) -> bytes:
    """Return a file of zeros, or what comes before them; a tensor is its type, its shape and its number of bytes."""
    header, offset = {}, 0
    for name, (dtype, shape, size) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    return with_header(json.dumps(header).encode(), bytes(offset if data else 0))


def with_header(header: bytes, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + data


def overwrite(byte: int, tensor: str = "") -> Break:
    """Fill a tensor of ``model.safetensors`` with one byte, or all of them; the header stays."""

    def apply(folder: Path) -> None:
        path = folder / "model.safetensors"
        content = bytearray(path.read_bytes())
        start = 8 + struct.unpack("<Q", content[:8])[0]
        header = json.loads(content[8:start])
        first, last = header[tensor]["data_offsets"] if tensor else (0, len(content) - start)
        content[start + first : start + last] = bytes([byte]) * (last - first)
        path.write_bytes(content)

    return apply


def change_header(change: Callable[[dict[str, Any]], None]) -> Break:
    """Rewrite the header of ``model.safetensors`` and keep the tensors' bytes."""

    def apply(folder: Path) -> None:
        path = folder / "model.safetensors"
        content = path.read_bytes()
        length = struct.unpack("<Q", content[:8])[0]
        header = json.loads(content[8 : 8 + length])
        change(header)
        path.write_bytes(with_header(json.dumps(header).encode(), content[8 + length :]))

    return apply


def rename_tensor(old: str, new: str) -> Break:
    def change(header: dict[str, Any]) -> None:
        header[new] = header.pop(old)

    return change_header(change)
