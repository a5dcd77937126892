"""Reads the file of SLOs, and says what of it could never work."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from prometheus_client.utils import floatToGoString
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from switchyard.telemetry.metrics.families import LATENCY_BUCKETS
from switchyard.telemetry.metrics.gateway import TENANT_BUCKETS, TOKEN_BUCKETS

FILE = Path(__file__).parents[1] / "slos.yaml"
LONGS, SHORTS = ("5m", "1h", "6h", "1d", "3d"), ("1m", "5m", "30m", "2h", "6h")

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=253)]


class SloError(ValueError):
    """The file of SLOs promises what cannot be measured, or would never be alerted."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Window(_Part):
    """Two windows that both must burn the budget ``factor`` times too fast."""

    long: Literal["5m", "1h", "6h", "1d", "3d"]
    short: Literal["1m", "5m", "30m", "2h", "6h"]
    factor: float = Field(gt=0)
    severity: Literal["page", "ticket"]


class Objective(_Part):
    """What part of requests must be good, and of latencies within how many ``seconds``."""

    objective: float = Field(gt=0, lt=1)
    seconds: float | None = None
    factors: dict[str, float] = {}

    @property
    def budget(self) -> float:
        return round(1 - self.objective, 9)

    @property
    def threshold(self) -> str:
        """The edge of the histogram, as the Python client prints it."""
        return str(floatToGoString(self.seconds)) if self.seconds is not None else ""  # type: ignore[no-untyped-call]


class Change(_Part):
    """What an exception changes of an objective."""

    objective: float | None = Field(default=None, gt=0, lt=1)
    seconds: float | None = None


class Exceptional(_Part):
    """What is promised of one model or tenant in place of the default."""

    availability: Change | None = None
    first_token: Change | None = None
    inter_token: Change | None = None


class Tenants(_Part):
    """What is promised of each tenant."""

    availability: Objective
    first_token: Objective
    exceptions: dict[Name, Exceptional] = {}


class Models(Tenants):
    """What is promised of each model."""

    inter_token: Objective


class Slos(_Part):
    """The whole file."""

    runbooks: str
    minimum_requests: int = Field(ge=1)
    windows: dict[str, Window]
    models: Models
    tenants: Tenants

    @model_validator(mode="after")
    def _possible(self) -> Self:
        for where, default, seconds in _objectives(self):
            if unknown := default.factors.keys() - self.windows.keys():
                raise SloError(f"{where}: there is no window {', '.join(sorted(unknown))}")
            if bool(seconds) != (default.seconds is not None):
                raise SloError(f"{where}: an SLO has seconds if it is one of latency, and only then")
            if default.seconds is not None and default.seconds not in seconds:
                edges = ", ".join(f"{edge:g}" for edge in seconds)
                raise SloError(f"{where}: {default.seconds:g} s is no edge of the histogram: {edges}")
            for name, window in self.windows.items():
                errors = factor(default, name, window) * default.budget
                if errors >= 1:
                    raise SloError(f"{where}: window {name} would need {errors:.0%} bad requests and never fires")
        return self


def factor(objective: Objective, name: str, window: Window) -> float:
    """Return how many times too fast the budget must burn in a window for an alert."""
    return objective.factors.get(name, window.factor)


def changed(default: Objective, change: Change | None) -> Objective:
    """Return an objective with what an exception says of it."""
    return default.model_copy(update=change.model_dump(exclude_none=True)) if change else default


def _objectives(slos: Slos) -> Iterator[tuple[str, Objective, tuple[float, ...]]]:
    """Yield every objective, those of exceptions included, with the edges that its seconds may be."""
    edges: dict[str, dict[str, tuple[float, ...]]] = {
        "models": {"availability": (), "first_token": LATENCY_BUCKETS, "inter_token": TOKEN_BUCKETS},
        "tenants": {"availability": (), "first_token": TENANT_BUCKETS},
    }
    for who, group in (("models", slos.models), ("tenants", slos.tenants)):
        for kind, seconds in edges[who].items():
            default = getattr(group, kind)
            yield f"{who}.{kind}", default, seconds
            for name, exception in group.exceptions.items():
                yield f"{who}.exceptions.{name}.{kind}", changed(default, getattr(exception, kind)), seconds
        if who == "tenants" and any(one.inter_token for one in group.exceptions.values()):
            raise SloError("tenants.exceptions: inter_token is promised of models only")


def read(path: Path = FILE) -> Slos:
    """Read the file of SLOs.

    Raises:
        SloError: it is not valid; the message says where, and what would be.
    """
    try:
        return Slos.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as err:
        raise SloError(f"{path}: {err}") from err
    except ValidationError as err:
        raise SloError("\n".join(f"{path}: {_sentence(fault)}" for fault in err.errors())) from err


def _sentence(fault: ErrorDetails) -> str:
    """Return what is wrong and where; our own sentences begin with the place."""
    said = fault["msg"].removeprefix("Value error, ")
    return ": ".join([".".join(map(str, fault["loc"])), said]) if fault["loc"] else said
