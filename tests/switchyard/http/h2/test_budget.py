import pytest

from switchyard.http.h2.budget import FrameBudget
from switchyard.http.h2.frames import ProtocolError


async def test_work_earns_frames_but_not_without_end() -> None:
    budget = FrameBudget(burst=10, per_second=0)
    budget.earn(100)
    budget.spend(110)
    budget.earn(1_000_000)
    with pytest.raises(ProtocolError):
        budget.spend(1_000)
