"""What a folder or a file that somebody names seems to hold, by the names of its files alone."""

import re
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from switchyard.cli.models.errors import ModelError
from switchyard.repository.verdict import Group

_VERSION = re.compile(r"\d+/.")
_UNNAMED = ("model", "1")  # what files are called that say nothing of what they hold


def group_of(paths: Collection[str], shown: str) -> Group:
    """Return the group of the model that has these paths; whether it is a good one is for the judge to say.

    Raises:
        ModelError: it looks like neither.
    """
    if "config.pbtxt" not in paths and "config.json" in paths:
        return "llm"
    if "config.pbtxt" in paths or any(_VERSION.match(path) or path.endswith(".onnx") for path in paths):
        return "vision"
    raise ModelError(
        f"{shown} is neither a vision model, which has 1/model.onnx or a config.pbtxt, nor a language model, which has "
        "config.json and *.safetensors: name the folder that has these files, or a file *.onnx"
    )


def paths_below(folder: Path) -> list[str]:
    """Return the paths of two levels: more is not needed to recognize a model."""
    found = [path for path in folder.iterdir() if not path.name.startswith(".")]
    inner = [path for top in found if top.is_dir() for path in top.iterdir()]
    return [path.relative_to(folder).as_posix() for path in (*found, *inner)]


@contextmanager
def as_folder(path: Path) -> Iterator[Path]:
    """Yield the folder of a model: ``path``, or one in which a single ONNX file is the first version.

    Raises:
        ModelError: ``path`` is neither.
    """
    if path.is_dir():
        yield path.resolve()  # whoever names a link means what it leads to
        return
    if not path.is_file():
        raise ModelError(f"{path} does not exist")
    if path.suffix != ".onnx":
        raise ModelError(f"{path} is no folder and no file *.onnx: name the folder of the model")
    with tempfile.TemporaryDirectory(prefix="switchyard-model-") as folder:
        version = Path(folder, "1")
        version.mkdir()
        shutil.copyfile(path, version / "model.onnx")
        yield Path(folder)


def name_of(place: str) -> str:
    """Return how a model is called that comes from a path or an address.

    Raises:
        ModelError: its last part says nothing.
    """
    name = PurePosixPath(place.rstrip("/")).name.removesuffix(".onnx")
    if not name or name in _UNNAMED:
        raise ModelError(f"how is the model of {place} to be called? say it with --name NAME")
    return name
