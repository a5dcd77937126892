"""What a file or folder is taken for by names alone, and where it would go."""

import re
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import Literal

from switchyard.repository.names import kebab_case
from switchyard.repository.verdict import Group

_VERSION = re.compile(r"\d+/.")
_UNNAMED = ("model", "")  # what files are called that say nothing of what they hold
_MOST_ENTRIES = 1000  # of one folder that are looked at
_ARCHIVES = (".zip", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar")
_TRITON = ("config.pbtxt", "labels.txt", "model.py")
_LANGUAGE = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
_LANGUAGE_SUFFIXES = (".safetensors", ".safetensors.index.json")
_PICKLES = (".bin", ".ckpt", ".cloudpickle", ".dill", ".joblib", ".mar", ".nemo", ".pickle", ".pkl", ".pt", ".pth")
_OTHERS = (".cbm", ".engine", ".gguf", ".h5", ".hdf5", ".keras", ".mlmodel", ".pb", ".plan", ".pmml", ".tflite", ".ubj")

Part = Literal["graph", "archive", "triton", "language", "other"]


def part_of(name: str) -> Part | None:
    """Return what a file of this name is of a model: of another framework's it is ``other``; None if of none."""
    lower = name.lower()
    if lower.endswith(".onnx"):
        return "graph"
    if lower.endswith(_ARCHIVES):
        return "archive"
    if lower in _TRITON:
        return "triton"
    if lower in _LANGUAGE or lower.endswith(_LANGUAGE_SUFFIXES):
        return "language"
    return "other" if lower.endswith(_PICKLES + _OTHERS) else None


def group_of(paths: Collection[str]) -> Group | None:
    """Return the group of a model that has these paths, good or not; None if it looks like none."""
    if "config.pbtxt" not in paths and "config.json" in paths:
        return "llm"
    if "config.pbtxt" in paths or any(_VERSION.match(path) or path.endswith(".onnx") for path in paths):
        return "vision"
    return None


def paths_below(folder: Path) -> list[str]:
    """Return the paths of two levels, which is what it takes to recognize a model.

    Raises:
        OSError: the folder cannot be read.
    """
    found = list(_visible(folder))
    inner = [path for top in found if top.is_dir() and not top.is_symlink() for path in _readable(top)]
    return [path.relative_to(folder).as_posix() for path in (*found, *inner)]


def folder_for(name: str) -> str:
    """Return what the folder of a model may be called that comes in a file of this name; ``<name>`` if nothing says."""
    stem = name.partition(".")[0].lower()
    if stem in _UNNAMED or stem.isdecimal() or part_of(name) in ("triton", "language"):
        return "<name>"
    return kebab_case(stem)


def _visible(folder: Path) -> Iterator[Path]:
    return (path for path in islice(folder.iterdir(), _MOST_ENTRIES) if not path.name.startswith("."))


def _readable(folder: Path) -> list[Path]:
    try:
        return list(islice(folder.iterdir(), _MOST_ENTRIES))
    except OSError:
        return []
