"""Files that can run code when they are read or loaded: by their names, and by how they begin, whatever their name."""

import os
import re
from pathlib import PurePosixPath

from switchyard.repository.verdict import Group

_SUFFIXES = {
    **dict.fromkeys((".pkl", ".pickle", ".joblib", ".dill", ".cloudpickle"), "a pickle"),
    **dict.fromkeys((".pt", ".pth", ".ckpt", ".mar", ".nemo"), "PyTorch's format, which is a pickle"),
    **dict.fromkeys((".h5", ".hdf5", ".keras"), "Keras' format, which can hold code"),
    **dict.fromkeys((".so", ".dll", ".dylib", ".pyd", ".exe", ".pyc"), "compiled code"),
}
# Triton's backend of Python runs such a file in place of its own, also for models in ONNX where these run in Python.
_STUB = "triton_python_backend_stub"
_ZIP, _PICKLE = "a zip archive, as PyTorch saves its pickles", "a pickle"
# Some formats of one magic: Mach-O has it in both orders of bytes, and for 32 and 64 bits.
_MACH_O = rb"\xfe\xed\xfa[\xce\xcf]|[\xce\xcf]\xfa\xed\xfe|\xca\xfe\xba[\xbe\xbf]"
_BEGINNINGS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"\x7fELF|" + _MACH_O), "compiled code"),
    (re.compile(rb"\x89HDF\r\n\x1a\n"), "Keras' format, which can hold code"),
    (re.compile(rb"PK(\x03\x04|\x05\x06|\x07\x08)"), _ZIP),
    # A protocol, and an operation with which pickles begin: random bytes of weights do so once in 300 000 files.
    (re.compile(rb"\x80[\x02-\x05][\x95()\]}cXUKJM\x8a\x8c\x8e]"), _PICKLE),
)
_HEAD_BYTES = 64  # a program for Windows says there where its own header is


def by_name(path: str, group: Group) -> str:
    """Return what is unsafe in a file called ``path`` below a model's folder, empty if nothing is."""
    suffix = PurePosixPath(path).suffix.lower()
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    if path.rpartition("/")[2] == _STUB:
        return "a program that Triton would run"
    if group == "llm" and suffix == ".py":
        return "code, which is never run for a language model"
    return "PyTorch's format, which is a pickle" if group == "llm" and suffix == ".bin" else ""


def by_beginning(root: int, path: str, group: Group) -> str:
    """Return what is unsafe in the file ``path`` below the open folder ``root``, whatever its name is."""
    suffix, found = PurePosixPath(path).suffix.lower(), _beginning(root, path)
    # The length with which safetensors begin may look like a pickle; the check of a language model reads all of it.
    weights = group == "llm" and suffix == ".safetensors" and found == _PICKLE
    return "" if weights or (suffix == ".npz" and found == _ZIP) else found


def _beginning(root: int, path: str) -> str:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=root)
    except OSError:
        return ""  # who reads the file says so
    try:
        head = os.pread(handle, _HEAD_BYTES, 0)
        if head.startswith(b"MZ") and len(head) == _HEAD_BYTES:
            return "compiled code" if os.pread(handle, 4, int.from_bytes(head[60:], "little")) == b"PE\0\0" else ""
        return next((what for pattern, what in _BEGINNINGS if pattern.match(head)), "")
    except OSError:
        return ""
    finally:
        os.close(handle)
