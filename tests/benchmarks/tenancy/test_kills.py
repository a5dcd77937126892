"""kill -9 of each process in turn while clients ask: what the ledger has is what clients saw.

``python -m benchmarks.tenancy.kills`` does the same a hundred times, and waits until leases have ended.
"""

from pathlib import Path

import pytest

from benchmarks.tenancy.kills import audits, kill_in_turn, running
from switchyard.gateway.quota.reservations import LEASE_SECONDS

EACH = 3


@pytest.mark.parametrize(("store", "victims"), [("sqlite", 2), ("redis", 3)])
async def test_each_whole_response_is_charged_once_and_nothing_stays_reserved(
    tmp_path: Path, store: str, victims: int
) -> None:
    with running(tmp_path, store, gateways=2) as platform:
        seen = await kill_in_turn(platform, EACH * victims, clients=4)
        found = await audits(platform, seen, ahead=LEASE_SECONDS + 1)
    for audit in found.values():
        assert audit.complete > 4 * EACH * victims
        assert audit.faults == 0, audit
    assert sum(len(one.of("cut")) for one in seen.values()) > 0, "a kill of a gateway cuts connections"
