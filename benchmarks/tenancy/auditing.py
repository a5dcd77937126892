"""Compares what a ledger has with what clients saw."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.tenancy.clients import Seen
from switchyard.gateway.quota.claims import applied
from switchyard.gateway.tenants.file import TenantsFile
from switchyard.gateway.usage.entries import AMOUNTS, FIELDS
from switchyard.store.ledger import Ledger, Level, Width

_DAY: Width = 86400
_COUNTED = tuple(name for name in AMOUNTS if name in FIELDS)  # of what is added up, what a row has too


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What was found of one tenant; all but ``complete`` and ``unseen`` are faults.

    Of its ``complete`` responses, those ``missing`` have no row, and ``wrong`` have one with other tokens than were
    sent; calls with several rows are ``twice``, rows of calls that failed or were never sent ``invented``. ``totals``
    and ``counters`` say by how much the sums and the limits of the ledger differ from its rows. ``held`` requests are
    in flight for the ledger alone. ``unseen`` are rows of calls whose connection was cut after they were settled and
    before the client saw the end.
    """

    complete: int
    missing: Sequence[str]
    wrong: Sequence[str]
    twice: Sequence[str]
    invented: Sequence[str]
    totals: dict[str, int]
    counters: dict[str, int]
    held: int
    unseen: int

    @property
    def faults(self) -> int:
        lists = (self.missing, self.wrong, self.twice, self.invented, self.totals, self.counters)
        return sum(map(len, lists)) + self.held


async def rows_of(ledger: Ledger, tenant: str) -> list[dict[str, Any]]:
    """Return all rows of a tenant."""
    rows: list[dict[str, Any]] = []
    after = ""
    while page := await ledger.rows(tenant, since=0, until=2**33, after=after):
        rows += (json.loads(row) for _, row in page)
        after = page[-1][0]
    return rows


async def audit(
    ledger: Ledger, tenants: Path, key: str, model: str, seen: Seen, *, now: float, tokens: int, counted: bool
) -> Audit:
    """Compare the ledger with what clients of a key saw of responses with ``tokens`` of output each.

    ``counted`` says that no call ran without its limits being counted.
    """
    file = TenantsFile(tenants)
    await file.load()
    identity = file.current.find(key.encode(), lambda: now)
    rows = await rows_of(ledger, identity.tenant)
    times = Counter(row["request_id"] for row in rows)
    good = {row["request_id"]: row for row in rows if row["outcome"] == "ok"}
    complete, cut = seen.of("complete"), seen.of("cut")
    sums = await _sums(ledger, identity.tenant)
    limits = applied(identity, model, now)
    levels = await _levels(ledger, identity.tenant, [limit.claim(0) for limit in limits])
    # Of the limits per minute the first calls may have left the window.
    used = {one.limit.unit: level.used for one, level in zip(limits, levels, strict=True) if one.limit.per != "minute"}
    charged = {"requests": len(rows), "tokens": sum(row["prompt_tokens"] + row["completion_tokens"] for row in rows)}
    return Audit(
        complete=len(complete),
        missing=sorted(complete - good.keys()),
        wrong=sorted(name for name in complete & good.keys() if good[name]["completion_tokens"] != tokens),
        twice=sorted(name for name, count in times.items() if count > 1),
        invented=sorted((good.keys() - complete - cut) | (times.keys() - seen.fates.keys())),
        totals=_differences(sums, _amounts(rows)),
        counters=_differences({unit: used[unit] for unit in charged}, charged) if counted else {},  # type: ignore[index]
        held=used["in_flight"],
        unseen=len(good.keys() & cut),
    )


async def _levels(ledger: Ledger, tenant: str, claims: list[Any]) -> Sequence[Level]:
    outcome = await ledger.reserve(tenant, "audit", claims, lease=1)
    await ledger.settle(tenant, "audit", claims, None)
    return outcome.levels


async def _sums(ledger: Ledger, tenant: str) -> dict[str, int]:
    totals = await ledger.totals(tenant, since=0, until=2**33, width=_DAY)
    return dict(zip(AMOUNTS, map(sum, zip(*(total.amounts for total in totals), strict=True)), strict=True))


def _amounts(rows: list[dict[str, Any]]) -> dict[str, int]:
    of_rows = {name: sum(row[name] for row in rows) for name in _COUNTED}
    return {"requests": len(rows), "errors": sum(row["outcome"] == "error" for row in rows), **of_rows}


def _differences(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {name: one[name] - other[name] for name in other if one[name] != other[name]}
