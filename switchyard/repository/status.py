"""``status.json``: the state of every folder of the repository, written at each change by whoever publishes it."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from switchyard.repository.verdict import Facts, FaultCode, Group, Kind, Memory, Tensor

STATUS = "status.json"

Phase = Literal["downloading", "copying", "checking", "published", "failed"]

_UNFINISHED: Mapping[Phase, str] = {
    "downloading": "it is being downloaded",
    "copying": "its folder is still being copied",
    "checking": "its folder is being checked",
}


class StatusError(ValueError):
    """The file is not a ``status.json``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelStatus:
    """The state of one folder.

    ``digest`` and ``facts`` are of what is published, and empty or None where nothing is. ``phase`` and ``reason`` are
    of the folder's newest content: a failed one leaves the last good content published. ``progress`` is the bytes that
    are there and all bytes, while they are downloaded; ``since`` is a time in RFC 3339.
    """

    group: Group
    name: str
    phase: Phase
    reason: str = ""
    code: FaultCode | None = None
    file: str = ""
    digest: str = ""
    facts: Facts | None = None
    progress: tuple[int, int] = (0, 0)
    source: str = ""
    revision: str = ""
    since: str = ""
    seconds: Mapping[str, float] | None = None

    @property
    def kind(self) -> Kind | None:
        return self.facts.kind if self.facts else None

    @property
    def sentence(self) -> str:
        """What is said of the newest content where it is not simply served; empty where it is."""
        if self.reason or self.phase not in _UNFINISHED:
            return self.reason
        there, whole = self.progress
        share = f", {there / 1e6:.1f} of {whole / 1e6:.1f} MB are there" if whole else ""
        return _UNFINISHED[self.phase] + share


def said_while_copied(sentence: str) -> str:
    """Return what is said of a folder in which ``sentence`` is wrong so far: nobody has to do anything about it yet."""
    return f"{_UNFINISHED['copying']}; so far: {sentence}"


def steps_away(facts: Facts, beside: Mapping[str, ModelStatus]) -> list[str]:
    """Return what a model calls, itself or by another one, and of which nothing is published; ``beside`` is by name."""
    away: list[str] = []
    steps = list(facts.steps)
    for step in steps:  # which grows
        there = beside.get(step)
        if there is None or there.facts is None:
            away.append(step)
        else:
            steps += [inner for inner in there.facts.steps if inner not in steps]
    return list(dict.fromkeys(away))


def said_of_away(away: Sequence[str]) -> str:
    """Return the sentence on a model that calls models which are ``away``."""
    if len(away) == 1:
        return f"the model {away[0]} that it calls is away: put it back, or remove this one, too"
    return f"the models {', '.join(away)} that it calls are away: put them back, or remove this one, too"


@dataclass(frozen=True, slots=True)
class RepositoryStatus:
    """All folders, by group and name."""

    models: tuple[ModelStatus, ...] = ()

    def of_group(self, group: Group) -> Iterable[ModelStatus]:
        return (model for model in self.models if model.group == group)

    def find(self, group: Group, name: str) -> ModelStatus | None:
        return next((model for model in self.of_group(group) if model.name == name), None)

    def dumps(self) -> str:
        return json.dumps({"models": [asdict(model) for model in self.models]}, indent=1)

    @staticmethod
    def loads(text: str) -> "RepositoryStatus":
        """Read what ``dumps`` wrote.

        Raises:
            StatusError: the text is not that.
        """
        try:
            return RepositoryStatus(tuple(_model(row) for row in json.loads(text)["models"]))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as err:
            raise StatusError(f"not a {STATUS}: {err!r}") from err


def _model(row: Mapping[str, Any]) -> ModelStatus:
    facts = row.get("facts")
    return ModelStatus(
        **{
            **row,
            "code": FaultCode(row["code"]) if row.get("code") else None,
            "facts": facts_of(facts) if facts else None,
            "progress": tuple(row.get("progress", (0, 0))),
        }
    )


def facts_of(row: Mapping[str, Any]) -> Facts:
    """Read facts that ``asdict`` wrote."""
    tuples = {name: tuple(row.get(name, ())) for name in ("versions", "steps", "notes")}
    tensors = {name: tuple(_tensor(tensor) for tensor in row.get(name, ())) for name in ("inputs", "outputs")}
    return Facts(**{**row, **tuples, **tensors, "memory": Memory(**row["memory"])})


def _tensor(row: Mapping[str, Any]) -> Tensor:
    return replace(Tensor(**row), shape=tuple(row["shape"]))


class StatusFile:
    """``status.json`` below the root of what is published; a reader sees the old one or the new one."""

    def __init__(self, published: Path) -> None:
        self._path = published / STATUS
        self._stamp: tuple[int, int] | None = None
        self._status = RepositoryStatus()

    def current(self) -> RepositoryStatus:
        """Read the file again if it was replaced; a missing one has no models.

        Raises:
            StatusError: it is not a status.
        """
        try:
            stat = os.stat(self._path)
        except FileNotFoundError:
            return self._status
        stamp = (stat.st_mtime_ns, stat.st_ino)
        if stamp != self._stamp:
            try:
                self._status = RepositoryStatus.loads(self._path.read_text(encoding="utf-8"))
            except UnicodeDecodeError as err:
                raise StatusError(f"not a {STATUS}: {err.reason}") from err
            self._stamp = stamp
        return self._status

    def replace(self, status: RepositoryStatus) -> None:
        """Write ``status`` atomically."""
        staged = self._path.with_name(f".{STATUS}.new")
        staged.write_text(status.dumps())
        os.replace(staged, self._path)
