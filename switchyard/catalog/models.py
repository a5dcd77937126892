"""What is served: one value, derived from InferenceServices and never written by hand.

Local mode derives it from rendered documents, a cluster from a watch on the same objects; the gateway, ``/v1/models``
and ``/v2/repository/index`` read it. A sleeping model stays listed: only names that do not exist are unknown.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

Kind = Literal["llm", "embedding", "vision", "graph", "adapter", "step"]  # a step serves graphs, not clients
Phase = Literal["ready", "asleep", "waking", "failed"]

KIND_LABEL = "switchyard.dev/kind"
CONTEXT_LENGTH_ANNOTATION = "switchyard.dev/context-length"
INPUTS_ANNOTATION = "switchyard.dev/chat-inputs"  # what a chat may hold, such as "text,image"; text if absent


class CatalogError(ValueError):
    """A document does not describe a model that can be served; the message says which field and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """Whether a model answers now; ``reason`` is a sentence when it failed."""

    phase: Phase
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """One served name.

    ``url`` is the HTTP base of the predictor (``/openai/v1/…`` and ``/v2/…`` lie below it), ``grpc`` the ``host:port``
    of its V2 gRPC service or empty, ``context_length`` a number of tokens; ``sees`` says that a chat may hold pictures.
    """

    name: str
    kind: Kind
    url: str
    grpc: str = ""
    context_length: int | None = None
    sees: bool = False
    state: State = field(default_factory=lambda: State(phase="asleep"))


@dataclass(frozen=True, slots=True)
class Catalog:
    """All served models by name."""

    models: Mapping[str, Model]

    def get(self, name: str) -> Model | None:
        return self.models.get(name)

    def dumps(self) -> str:
        return json.dumps({"models": [asdict(model) for model in self.models.values()]}, indent=1)

    @staticmethod
    def loads(text: str) -> "Catalog":
        """Reads what ``dumps`` wrote.

        Raises:
            CatalogError: the text is not a catalog.
        """
        try:
            rows = json.loads(text)["models"]
            models = [Model(**{**row, "state": State(**row["state"])}) for row in rows]
        except (ValueError, KeyError, TypeError) as err:
            raise CatalogError(f"not a catalog: {err}") from err
        return Catalog({model.name: model for model in models})


class CatalogSource(Protocol):
    """Where a process reads the catalog; ``current`` is cheap enough for every request."""

    def current(self) -> Catalog: ...


def describe(document: Mapping[str, Any], *, url: str, grpc: str = "", state: State | None = None) -> Model:
    """The catalog entry of an InferenceService or InferenceGraph document.

    Raises:
        CatalogError: the kind label is missing or unknown, or the context length is no number.
    """
    metadata = document["metadata"]
    what, name = document.get("kind", "InferenceService"), metadata["name"]
    kind = metadata.get("labels", {}).get(KIND_LABEL)
    if kind not in get_args(Kind):
        raise CatalogError(f"{what} {name}: label {KIND_LABEL} is {kind!r}; use one of {', '.join(get_args(Kind))}")
    length = metadata.get("annotations", {}).get(CONTEXT_LENGTH_ANNOTATION)
    if length is not None and not str(length).isdecimal():
        raise CatalogError(
            f"{what} {name}: annotation {CONTEXT_LENGTH_ANNOTATION} is {length!r}, not a number of tokens"
        )
    return Model(
        name=name,
        kind=kind,
        url=url,
        grpc=grpc,
        context_length=None if length is None else int(length),
        sees="image" in metadata.get("annotations", {}).get(INPUTS_ANNOTATION, "text").split(","),
        state=state or State(phase="asleep"),
    )


def hosts_repository(document: Mapping[str, Any]) -> bool:
    """Whether an InferenceService serves a whole repository, each model of it by its own name.

    So KServe and Triton have it for the format ``triton``: ``storageUri`` names the repository's root.
    """
    model = document["spec"]["predictor"].get("model") or {}
    return bool((model.get("modelFormat") or {}).get("name") == "triton")


def hosted(service: Model, folder: Path) -> list[Model]:
    """The models of the Triton repository in ``folder``, all served where ``service`` is.

    Triton takes any folder with a numbered version in it for a model; hidden ones aside, and those that vanish while
    they are looked at, or may not be read.
    """
    return [replace(service, name=path.name) for path in sorted(_within(folder)) if _is_triton_model(path)]


def _is_triton_model(folder: Path) -> bool:
    if folder.name.startswith("."):
        return False
    inside = _within(folder)
    return any(path.name == "config.pbtxt" or path.name.isdecimal() for path in inside)


def _within(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


class CatalogFile:
    """A catalog in a file that local mode replaces whole at every change; read again when it changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._catalog = Catalog({})

    def current(self) -> Catalog:
        try:
            stat = os.stat(self._path)
        except FileNotFoundError:
            return self._catalog
        stamp = (stat.st_mtime_ns, stat.st_ino)
        if stamp != self._stamp:
            self._catalog = Catalog.loads(self._path.read_text())
            self._stamp = stamp
        return self._catalog

    def replace(self, catalog: Catalog) -> None:
        """Writes ``catalog`` so that a reader sees the old or the new one, never a part."""
        staged = self._path.with_suffix(".new")
        staged.write_text(catalog.dumps())
        os.replace(staged, self._path)
