"""What a folder or a file that somebody names seems to hold, by the names of its files alone."""

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from switchyard.cli.models.errors import ModelError
from switchyard.repository.names import quoted
from switchyard.repository.placement.layout import Part, group_of, part_of
from switchyard.repository.verdict import Group

_REMEDIES: Mapping[Part | None, str] = {
    None: "name the folder of the model",
    "graph": "rename it, so that it ends in .onnx",
    "archive": "unpack it, and name the folder of the model that comes out",
    "triton": "name the folder that has it with the rest of its model",
    "language": "name the folder that has it with the rest of its model",
    "other": "export the model to ONNX and name that file, or save a language model in safetensors and name its folder",
}
_INNER = ("/config.pbtxt", "/config.json", "/1")  # a model's, one folder deeper
NAME_IT = "call it, by --name,"  # what is done about the name of a file, and of what is added
_UNNAMED = ("model", "1")  # what files are called that say nothing of what they hold


def require_group(paths: Collection[str], shown: str) -> Group:
    """Return the group of the model that has these paths; whether it is a good one is for the judge to say.

    Raises:
        ModelError: it looks like neither.
    """
    if group := group_of(paths):
        return group
    if archive := next((path for path in sorted(paths) if part_of(path) == "archive"), ""):
        raise ModelError(f"{shown} has {quoted(archive)}, and archives are not unpacked: unpack it there")
    if inner := next((path for path in sorted(paths) if path.endswith(_INNER)), ""):
        raise ModelError(f"{shown} is no model, but has some in it: name {shown.rstrip('/')}/{inner.partition('/')[0]}")
    raise ModelError(
        f"{shown} is neither a vision model, which has 1/model.onnx or a config.pbtxt, nor a language model, which has "
        "config.json and *.safetensors: name the folder that has these files, or a file *.onnx"
    )


@contextmanager
def as_folder(path: Path) -> Iterator[Path]:
    """Yield the folder of a model: ``path``, or one in which a single ONNX file is the first version.

    The weights that the file's graph names are taken from beside it.

    Raises:
        ModelError: ``path`` is neither.
    """
    if path.is_dir():
        yield path.resolve()  # whoever names a link means what it leads to
        return
    if not path.is_file():
        raise ModelError(f"{path} does not exist")
    if path.suffix != ".onnx":
        raise ModelError(f"{path} is no folder and no file *.onnx: {_REMEDIES[part_of(path.name)]}")
    with tempfile.TemporaryDirectory(prefix="switchyard-model-") as folder:
        version = Path(folder, "1")
        version.mkdir()
        shutil.copyfile(path, version / "model.onnx")
        _bring_weights(path, version)
        yield Path(folder)


def _bring_weights(graph: Path, version: Path) -> None:
    """Put the files of weights that a graph names, as PyTorch's exporter writes them beside it, into its version.

    What is missing, or elsewhere, is for the judge to say.
    """
    from switchyard.repository.triton.faults import FaultError
    from switchyard.repository.triton.graphs.graph import read_graph

    try:
        external = read_graph(graph, graph.name, version.name, graph.stat().st_size).external
    except FaultError:
        return
    for location in {data.location for data in external}:
        beside = graph.parent / location
        target = version / location
        if not location or location.startswith("/") or ".." in location.split("/") or not beside.is_file():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(beside.resolve(), target)  # gigabytes, of which the repository makes its own copy
        except OSError:
            shutil.copyfile(beside, target)


def name_of(place: str) -> str:
    """Return how a model is called that comes from a path or an address.

    Raises:
        ModelError: its last part says nothing.
    """
    name = PurePosixPath(place.rstrip("/")).name.removesuffix(".onnx")
    if not name or name in _UNNAMED:
        raise ModelError(f"how is the model of {place} to be called? say it with --name NAME")
    return name
