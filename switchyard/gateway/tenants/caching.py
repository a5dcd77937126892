"""The cache of a tenant as the gateway keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

HitsCount = Literal["nothing", "requests", "tokens"]
_MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Caching:
    """Responses are kept for ``seconds``, ``size`` bytes of them, of ``models`` (patterns, empty for all).

    ``share`` names those who share, empty for nobody. ``hits`` says what a response from the cache counts.
    """

    seconds: int = 3600
    models: tuple[str, ...] = ()
    share: str = ""
    hits: HitsCount = "requests"
    size: int = 64 * _MEGABYTE


def read_caching(row: Mapping[str, Any] | None) -> Caching | None:
    """Read what the reader wrote of a tenant's cache; None of one that has none."""
    if row is None:
        return None
    models = () if "*" in row["models"] else tuple(row["models"])
    return Caching(row["seconds"], models, row["share"] or "", row["hits"], row["megabytes"] * _MEGABYTE)
