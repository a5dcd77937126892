"""Old usage is forgotten once a day, by one of the gateways of a store."""

import asyncio
import time
from pathlib import Path

from switchyard.gateway.usage.pruning import prune_today
from switchyard.store.ledger import Entry
from switchyard.store.sqlite_ledger import SqliteLedger

DAY = 86400
NOW = int(time.time())
TODAY = NOW // DAY


async def test_whole_days_are_forgotten_by_one_gateway_a_day(tmp_path: Path) -> None:
    times = iter([(TODAY - 3) * DAY + 5, (TODAY - 2) * DAY, NOW])
    for number, when in enumerate(times):
        writing = SqliteLedger(tmp_path / "ledger.db", clock=lambda when=when: when)  # type: ignore[misc]
        await writing.settle("acme", str(number), (), Entry(b"%d" % number, "x", (1,)))
        await writing.aclose()
    gateways = [SqliteLedger(tmp_path / "ledger.db") for _ in range(4)]
    pruned = await asyncio.gather(*(prune_today(one, 2, NOW) for one in gateways))
    assert sorted(pruned) == [False, False, False, True]
    assert [row for _, row in await gateways[0].rows("acme", since=0, until=2**40)] == [b"1", b"2"]
    assert await prune_today(gateways[1], 2, NOW + DAY)
    assert [row for _, row in await gateways[0].rows("acme", since=0, until=2**40)] == [b"2"]
    for one in gateways:
        await one.aclose()
