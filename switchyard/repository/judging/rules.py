"""Which rules judge: their code, and the libraries that read the formats."""

import hashlib
from functools import cache
from importlib import metadata
from pathlib import Path

_REPOSITORY = Path(__file__).parents[1]
_JUDGES = ("folder.py", "names.py", "signature.py", "judging", "triton", "huggingface", "../chat_rendering.py")
_LIBRARIES = ("onnx", "onnxruntime", "protobuf", "safetensors", "tokenizers", "tritonclient")


@cache
def rules_version() -> str:
    """Return what changes whenever another verdict may be given on the same folder."""
    whole = hashlib.sha256()
    for name in _JUDGES:
        path = _REPOSITORY / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.suffix in (".py", ".json") and file.is_file():
                whole.update(file.read_bytes())
    for library in _LIBRARIES:
        whole.update(f"{library} {metadata.version(library)}\n".encode())
    return whole.hexdigest()
