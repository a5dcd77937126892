"""A batch as the store has it, and as clients see it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import orjson

Status = Literal["validating", "in_progress", "finalizing", "completed", "failed", "cancelling", "cancelled", "expired"]
ACTIVE: frozenset[Status] = frozenset(("validating", "in_progress", "finalizing", "cancelling"))
_TIMES = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """What is wrong with a file of requests; ``line`` counts from 1."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Owner:
    """Whose batch it is: as in ``Identity``, and all empty in a gateway without keys."""

    tenant: str = ""
    team: str = ""
    key_id: str = ""
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """One batch; times are in seconds since 1970, ``window`` is as the client wrote it.

    ``runner`` is the gateway that works on it, empty for none, and ``beat`` changes whenever that one says so.
    ``times`` are when it came into each status. ``done`` are lines that are over, ``failed`` those of them with an
    error.
    """

    id: str
    owner: Owner
    endpoint: str
    input: str
    window: str
    created: int
    ends: int
    metadata: Mapping[str, str] | None = None
    status: Status = "validating"
    times: Mapping[str, int] = field(default_factory=dict)
    runner: str = ""
    beat: int = 0
    total: int = 0
    done: int = 0
    failed: int = 0
    output: str | None = None
    errors: str | None = None
    faults: Sequence[Fault] = ()

    @property
    def is_active(self) -> bool:
        """Whether somebody has to work on it."""
        return self.status in ACTIVE

    @property
    def ended(self) -> int | None:
        """When it came into its last status; None before."""
        return None if self.is_active else self.times.get(self.status, self.created)

    def into(self, status: Status, now: float, **changes: Any) -> "Batch":
        """Return it in another status."""
        return replace(self, status=status, times={**self.times, status: int(now)}, **changes)

    def shown(self) -> dict[str, Any]:
        """Return it in OpenAI's form."""
        faults = [asdict(fault) for fault in self.faults]
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": self.endpoint,
            "errors": {"object": "list", "data": faults} if faults else None,
            "input_file_id": self.input,
            "completion_window": self.window,
            "status": self.status,
            "output_file_id": self.output,
            "error_file_id": self.errors,
            "created_at": self.created,
            "expires_at": self.ends,
            **{f"{name}_at": self.times.get(name) for name in _TIMES},
            "request_counts": {"total": self.total, "completed": self.done - self.failed, "failed": self.failed},
            "metadata": self.metadata,
        }


def encode(batch: Batch) -> bytes:
    """Return how the store has it."""
    return orjson.dumps(batch)


def decode(value: bytes) -> Batch:
    """Read what ``encode`` wrote.

    Raises:
        ValueError: it is no batch.
    """
    try:
        fields = orjson.loads(value)
        owner = {**fields.pop("owner")}
        owner["roles"] = tuple(owner["roles"])
        faults = tuple(Fault(**fault) for fault in fields.pop("faults"))
        return Batch(**fields, owner=Owner(**owner), faults=faults)
    except (TypeError, KeyError, AttributeError) as err:
        raise ValueError(f"not a batch: {err}") from err
