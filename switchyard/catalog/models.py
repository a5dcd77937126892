"""The catalog's value types.

Local mode derives a catalog from rendered documents, a cluster from a watch on the same objects; the gateway,
``/v1/models`` and ``/v2/repository/index`` read it. A sleeping model stays listed: only names that do not exist are
unknown.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

Kind = Literal["llm", "embedding", "vision", "graph", "adapter", "step"]  # a step serves graphs, not clients
Phase = Literal[
    "ready", "asleep", "waking", "failed", "pending"
]  # pending: not yet served, its folder is being checked


class CatalogError(ValueError):
    """A document does not describe a model that can be served; the message says which field and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """The phase of a model; the sentence that says why it is not ready, and whether a request starts a failed one."""

    phase: Phase
    reason: str = ""
    retryable: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """What people want to know of a model before they use it, as the model repository found it; empty if unknown.

    ``description`` is the first paragraph of the model's own card. ``source`` and ``revision`` say where it came from.
    """

    format: str = ""
    bytes: int = 0
    license: str = ""
    description: str = ""
    architecture: str = ""
    parameters: int = 0
    dtype: str = ""
    quantization: str = ""
    source: str = ""
    revision: str = ""
    signed_by: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """One served name.

    ``url`` is the HTTP base of the predictor (``/openai/v1/…`` and ``/v2/…`` are below it), ``grpc`` the ``host:port``
    of its V2 gRPC service or empty, ``context_length`` a number of tokens; ``accepts_images`` says that a chat may hold
    images. ``versions`` are those of V2, empty where only the model's server knows them. ``concurrency`` is how many
    requests the replicas behind ``url`` take at a time, for all models there together; None where nothing limits them.
    ``replicas`` is how many of them exist, those that start or stop included; None where nobody knows, as of graphs.
    ``revision`` names what responds, its configuration and weights: another one may say something else to the same
    request; empty where nobody knows.
    ``notice`` is what its users should know while it is served, such as why the newest content of its folder is not.
    """

    name: str
    kind: Kind
    url: str
    grpc: str = ""
    context_length: int | None = None
    accepts_images: bool = False
    versions: tuple[str, ...] = ("1",)
    concurrency: int | None = None
    replicas: int | None = None
    notice: str = ""
    revision: str = ""
    card: Card | None = None
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
        """Read what ``dumps`` wrote.

        Raises:
            CatalogError: the text is not a catalog.
        """
        try:
            rows = json.loads(text)["models"]
            models = [_model(row) for row in rows]
        except (ValueError, KeyError, TypeError) as err:
            raise CatalogError(f"not a catalog: {err}") from err
        return Catalog({model.name: model for model in models})


def _model(row: Mapping[str, Any]) -> Model:
    card = row.get("card")
    return Model(**{**_renamed(row), "card": Card(**card) if card else None, "state": State(**row["state"])})


def _renamed(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with today's names and types: files written before 0.2 say ``sees`` for ``accepts_images``."""
    fields = {"accepts_images" if name == "sees" else name: value for name, value in row.items()}
    return fields | {"versions": tuple(fields.get("versions", ("1",)))}


class CatalogSource(Protocol):
    """Where a process reads the catalog; ``current`` is cheap enough for every request."""

    def current(self) -> Catalog: ...
