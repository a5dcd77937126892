"""One ledger used by many processes at once, some of which are killed."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterable

from switchyard.store.factory import open_ledger
from switchyard.store.ledger import Claim, Grant

PROCESSES, TASKS, CALLS = 8, 8, 12
HELD, REQUESTS = 5, 40
LEASE = 2.0
DEADLINE = 120.0

# A busy machine may make a store late; repeating an operation with the same call id is safe.
SURELY = """
from switchyard.store.contract import StoreError

async def surely(operation):
    while True:
        try:
            return await operation()
        except StoreError:
            await asyncio.sleep(0.01)
"""

WORKER = f"""
import asyncio, json, os, sys, time
from switchyard.store.factory import open_ledger
from switchyard.store.ledger import Claim, Entry, Grant
{SURELY}
async def calls(ledger, task):
    for number in range({CALLS}):
        call = f"{{os.getpid()}}-{{task}}-{{number}}"
        claims = [Claim("in-flight", 1, {HELD}, "held"), Claim("requests", 1, {REQUESTS}, "rolling", seconds=1)]
        asked = time.time()
        result = await surely(lambda: ledger.reserve("tenant", call, claims, lease=600))
        if isinstance(result, Grant):
            granted = time.time()
            await asyncio.sleep(0.001)
            settling = time.time()
            await surely(lambda: ledger.settle("tenant", call, claims, Entry(call.encode(), "all", (1,))))
            print(json.dumps([asked, granted, settling]), flush=True)
        else:
            await asyncio.sleep(0.002)

async def main():
    ledger = open_ledger(sys.argv[1])
    await asyncio.gather(*(calls(ledger, task) for task in range({TASKS})))
    await ledger.aclose()

asyncio.run(main())
"""

VICTIM = f"""
import asyncio, itertools, os, sys
from switchyard.store.factory import open_ledger
from switchyard.store.ledger import Claim, Entry
{SURELY}
async def calls(ledger, task):
    claims = [Claim("in-flight", 1, 1000, "held"), Claim("tokens", 5, 10**9, "rolling", seconds=3600)]
    for number in itertools.count():
        call = f"{{os.getpid()}}-{{task}}-{{number}}"
        await surely(lambda: ledger.reserve("tenant", call, claims, lease={LEASE}))
        await surely(lambda: ledger.settle("tenant", call, claims, Entry(call.encode(), "all", (5,))))
        print(call, flush=True)

async def main():
    ledger = open_ledger(sys.argv[1])
    await asyncio.gather(*(calls(ledger, task) for task in range({TASKS})))

asyncio.run(main())
"""


def start(program: str, url: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", program, url], stdout=subprocess.PIPE, text=True)


def most_at_once(spans: Iterable[tuple[float, float]]) -> int:
    """How many spans overlap at most; one that begins when another ends does not overlap it."""
    changes = sorted([(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans])
    current = most = 0
    for _, change in changes:
        current += change
        most = max(most, current)
    return most


async def test_eight_processes_never_exceed_a_limit(url: str) -> None:
    workers = [start(WORKER, url) for _ in range(PROCESSES)]
    try:
        outputs = [worker.communicate(timeout=DEADLINE)[0] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    assert [worker.returncode for worker in workers] == [0] * PROCESSES

    calls = sorted(json.loads(line) for output in outputs for line in output.splitlines())
    assert len(calls) >= REQUESTS
    assert most_at_once([(granted, settling) for _, granted, settling in calls]) <= HELD
    by_grant = sorted(granted for _, granted, _ in calls)
    asked = sorted(asked for asked, _, _ in calls)
    # Of `REQUESTS + 1` calls in a row the last was granted, by the store's clock, a second after the first was asked.
    assert all(last - first >= 1 for first, last in zip(asked, by_grant[REQUESTS:], strict=False))

    ledger = open_ledger(url)
    rows = await ledger.rows("tenant", since=0, until=10**10, count=10**6)
    totals = await ledger.totals("tenant", since=0, until=10**10, width=86400)
    left = await ledger.reserve("tenant", "probe", [Claim("in-flight", HELD, HELD, "held")], lease=1)
    await ledger.aclose()
    assert len({row for _, row in rows}) == len(rows) == len(calls) == sum(total.amounts[0] for total in totals)
    assert isinstance(left, Grant)


async def test_a_killed_process_loses_no_entry_and_holds_nothing_after_its_lease(url: str) -> None:
    returned: list[str] = []
    for _ in range(3):
        victim = start(VICTIM, url)
        assert victim.stdout is not None
        returned += [victim.stdout.readline().strip() for _ in range(100)]
        victim.send_signal(signal.SIGKILL)
        returned += victim.stdout.read().split("\n")[:-1]
        victim.wait()
        victim.stdout.close()

    ledger = open_ledger(url)
    rows = [row.decode() for _, row in await ledger.rows("tenant", since=0, until=10**10, count=10**6)]
    assert len(set(rows)) == len(rows)
    assert set(returned) <= set(rows)
    totals = await ledger.totals("tenant", since=0, until=10**10, width=86400)
    assert sum(total.amounts[0] for total in totals) == 5 * len(rows)

    # Nothing is held but by what waits for its lease: in the end the counters say what the rows say.
    nothing = [Claim("in-flight", 0, 1, "held"), Claim("tokens", 0, 1, "rolling", seconds=3600, enforced=False)]
    end = time.monotonic() + 60
    while True:
        result = await ledger.reserve("tenant", "probe", nothing, lease=60)
        if [level.used for level in result.levels] == [0, 5 * len(rows)]:
            break
        assert time.monotonic() < end, result
    await ledger.aclose()
