"""Which models a source has: one, or a whole repository with ``vision/<name>/`` and ``llm/<name>/`` in it."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple, get_args

from switchyard.repository.names import LONGEST_NAME
from switchyard.repository.sources.listing import is_hidden, revision_of, unsafe
from switchyard.repository.sources.remote import Remote, RemoteFile
from switchyard.repository.sources.uri import Location
from switchyard.repository.verdict import Group


class Place(NamedTuple):
    """Where a model is in the repository."""

    group: Group
    name: str

    def __str__(self) -> str:
        return f"{self.group}/{self.name}"


def models_of(location: Location, remote: Remote) -> Mapping[Place, Remote]:
    """Return the models at ``location``, each with the files of its folder."""
    if not location.name and any(_place(file.path) for file in remote.files):
        return _repository(remote)
    return {Place(location.group or _group(remote), location.name or name_of(location)): remote}


def _repository(remote: Remote) -> Mapping[Place, Remote]:
    models: defaultdict[Place, list[RemoteFile]] = defaultdict(list)
    for file in remote.files:
        if place := _place(file.path):
            models[place].append(replace(file, path=file.path.removeprefix(f"{place}/")))
    return {
        place: Remote(uri=f"{remote.uri.rstrip('/')}/{place}", revision=revision_of(files), files=tuple(files))
        for place, files in models.items()
    }


def _place(path: str) -> Place | None:
    """Return the model that a file of a repository belongs to; files beside models belong to none."""
    group, _, below = path.partition("/")
    name, _, rest = below.partition("/")
    if group not in get_args(Group) or not rest or is_hidden(name) or unsafe(name):
        return None
    return Place("vision" if group == "vision" else "llm", name)


def _group(remote: Remote) -> Group:
    """Return ``llm`` for Hugging Face's layout, whose ``config.json`` is beside the weights, else ``vision``."""
    return "llm" if any(file.path == "config.json" for file in remote.files) else "vision"


def name_of(location: Location) -> str:
    """Return the last name of the address in kebab-case, as requests say it."""
    last = location.path.rpartition("/")[2] or location.place
    plain = unicodedata.normalize("NFKD", last).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:LONGEST_NAME].rstrip("-") or "model"
