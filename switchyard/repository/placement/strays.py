"""What lies in the repository where no model can be, each with a sentence that says where it belongs."""

import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import get_args

from switchyard.repository.names import quoted
from switchyard.repository.placement.layout import Part, folder_for, group_of, part_of, paths_below
from switchyard.repository.status import ModelStatus
from switchyard.repository.verdict import FaultCode, Group

MOST_STRAYS = 20  # that are told of; nobody reads more
_MOST_ENTRIES = 1000  # of one folder that are looked at
_MOST_FOLDERS = 20  # of one that is no group


def strays(root: Path, used: Collection[str] = ()) -> list[ModelStatus]:
    """Return what lies below ``root``, a repository, and is neither a model's folder nor of no model at all.

    Folders beside the groups with a name in ``used`` are services' own. What is in a group is called as it is, what is
    not ``<root>/<name>``, which no model can be.

    Raises:
        OSError: the repository cannot be read.
    """
    found = list(islice(_found(root, used), MOST_STRAYS + 1))
    if len(found) > MOST_STRAYS:
        found[-2:] = [replace(found[-2], reason=f"{found[-2].reason} There are more such files and folders.")]
    return found


def misplaced(shown: str, name: str, repository: str, group: Group | None = None) -> str:
    """Say where a file belongs that lies at ``shown``, in ``group`` or in none; empty if it is no part of a model."""
    part = part_of(name)
    return f"{shown} is no model: {_remedy(part, name, repository, group)}." if part else ""


def _remedy(part: Part, name: str, repository: str, group: Group | None) -> str:
    folder = folder_for(name)
    match part:
        case "graph":
            return f"put it at {repository}/vision/{folder}/1/model.onnx"
        case "archive":
            places = " or ".join(f"{repository}/{one}/{folder}" for one in ((group,) if group else get_args(Group)))
            return f"archives are not unpacked here; unpack it, and put the model's folder at {places}"
        case "triton":
            below = "1/model.py" if name.lower() == "model.py" else name
            return f"put it at {repository}/vision/{folder}/{below}, with the rest of its model"
        case "language":
            return f"put it into {repository}/llm/{folder}/, with the rest of its model"
        case "other" if group == "llm":
            return f"save the model as *.safetensors, and put that into {repository}/llm/{folder}/, with config.json"
        case "other":
            return f"export the model to ONNX, and put that at {repository}/vision/{folder}/1/model.onnx"


def _found(root: Path, used: Collection[str]) -> Iterator[ModelStatus]:
    groups = get_args(Group)
    for entry in _entries(root):
        name, shown = _printable(entry.name), _printable(f"{root.name}/{entry.name}")
        if not entry.is_dir(follow_symlinks=False):
            if reason := misplaced(shown, name, root.name):
                yield _status("llm" if part_of(name) == "language" else "vision", shown, reason)
        elif entry.name not in groups and entry.name not in used:
            with suppress(OSError):
                yield from _outside(Path(entry.path), shown, root.name)
    for group in groups:
        with suppress(FileNotFoundError, NotADirectoryError):
            for entry in _entries(root / group):
                if entry.is_symlink() or entry.is_dir():
                    continue  # a model's, or said by the judge to be a link
                name = _printable(entry.name)
                if reason := misplaced(f"{root.name}/{group}/{name}", name, root.name, group):
                    yield _status(group, name, reason)


def _outside(folder: Path, shown: str, repository: str) -> Iterator[ModelStatus]:
    """Say of a folder that is no group, and of no service, that it is a model or has some."""
    paths = paths_below(folder)
    if group := group_of(paths):
        name = "<name>" if folder.name.isdecimal() else _printable(folder.name)
        below = f"{name}/{folder.name}" if folder.name.isdecimal() else name
        yield _status(group, shown, _move(shown, f"{repository}/{group}/{below}"))
        return
    for name in sorted({path.partition("/")[0] for path in paths if "/" in path})[:_MOST_FOLDERS]:
        place = f"{shown}/{_printable(name)}"
        if name in get_args(Group):
            reason = f"{place} lies one folder too deep: move what is in it to {repository}/{name}."
            yield _status("vision" if name == "vision" else "llm", place, reason)
        elif group := group_of(paths_below(folder / name)):
            yield _status(group, place, _move(place, f"{repository}/{group}/{_printable(name)}"))


def _move(shown: str, to: str) -> str:
    return (
        f"{shown} lies outside of the groups vision and llm, so that nothing serves it, unless a service names its "
        f"path: move it to {to}."
    )


def _status(group: Group, name: str, reason: str) -> ModelStatus:
    return ModelStatus(group=group, name=name, phase="failed", reason=reason, code=FaultCode.MISPLACED)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return what is in a folder and not hidden, by name."""
    with os.scandir(folder) as found:
        entries = [entry for entry in islice(found, _MOST_ENTRIES) if not entry.name.startswith(".")]
    return sorted(entries, key=lambda entry: entry.name)


def _printable(name: str) -> str:
    return quoted(name, 120)[1:-1]
