"""What the ledger keeps of hours: what was watched, which replicas existed, what was idle, what tenants pay."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

from switchyard.gateway.usage.entries import AMOUNTS, FIELDS, read_dimensions
from switchyard.gateway.usage.hours.replicas import Replicas
from switchyard.store.ledger import Entry

Kind = Literal["watched", "existed", "idle"]


@dataclass(frozen=True, slots=True)
class Dimensions:
    """By what the platform's sums are kept apart; ``price`` is of an hour of a replica, where it means something."""

    kind: Kind
    pool: str = ""
    price: int = 0

    def text(self) -> str:
        """Return it as the ledger keeps it."""
        return orjson.dumps([self.kind, self.pool, self.price]).decode()

    @staticmethod
    def read(text: str) -> "Dimensions":
        """Read what ``text`` returned."""
        return Dimensions(*orjson.loads(text))


def watched(minute: int, milliseconds: int) -> Entry:
    """Return that replicas were watched for so much of a minute."""
    return _entry(Dimensions("watched"), (milliseconds,), minute=minute)


def existed(minute: int, server: str, replicas: Replicas, milliseconds: int) -> Entry:
    """Return for how long replicas of a server existed in a minute, in all."""
    by = Dimensions("existed", replicas.pool, replicas.price)
    return _entry(by, (milliseconds,), minute=minute, server=server)


def idle(hour: int, pool: str, nano_dollars: int, idle_milliseconds: int, milliseconds: int) -> Entry:
    """Return what nobody used of an hour, and for how long replicas existed in it."""
    return _entry(Dimensions("idle", pool), (nano_dollars, idle_milliseconds, milliseconds), hour=hour)


def charge(charge_id: str, tenant: str, dimensions: str, hour: int, nano_dollars: int) -> Entry:
    """Return the share of calls of an hour, as one row more of their tenant, team, key and model."""
    by = read_dimensions(dimensions)
    row = {name: kind() for name, kind in FIELDS.items()}
    row |= {"id": charge_id, "time": float(hour), "tenant": tenant, "team": by["team"], "model": by["model"]}
    row |= {"api_key_id": by["api_key_id"], "route": "accelerator hours", "outcome": "ok", "nano_dollars": nano_dollars}
    amounts = tuple(nano_dollars if name == "nano_dollars" else 0 for name in AMOUNTS)
    return Entry(orjson.dumps(row), dimensions, amounts)


def _entry(dimensions: Dimensions, amounts: tuple[int, ...], **about: Any) -> Entry:
    about = {name: _time(value) if name in ("minute", "hour") else value for name, value in about.items()}
    return Entry(orjson.dumps({"kind": dimensions.kind, "pool": dimensions.pool, **about}), dimensions.text(), amounts)


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
