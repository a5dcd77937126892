"""What is known of one file beside its bytes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import orjson

Purpose = Literal["batch", "batch_output"]
PURPOSES: tuple[str, ...] = get_args(Purpose)


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile:
    """A file of a tenant, empty in a gateway without keys; times are in seconds since 1970."""

    id: str
    tenant: str
    name: str
    purpose: str
    size: int
    created: int
    ends: int

    @property
    def blob(self) -> str:
        """The name under which its bytes lie."""
        return f"files/{self.id}"

    def shown(self) -> Mapping[str, Any]:
        """Return it in OpenAI's form."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.size,
            "created_at": self.created,
            "expires_at": self.ends,
            "filename": self.name,
            "purpose": self.purpose,
            "status": "processed",
            "status_details": None,
        }


def encode(file: StoredFile) -> bytes:
    """Return how the store has it."""
    return orjson.dumps(asdict(file))


def decode(value: bytes) -> StoredFile:
    """Read what ``encode`` wrote.

    Raises:
        ValueError: it is no file.
    """
    try:
        return StoredFile(**orjson.loads(value))
    except TypeError as err:
        raise ValueError(f"not a file: {err}") from err
