"""Every test of limits runs on both ledgers, real, as those of the store do."""

from collections.abc import AsyncIterator

import pytest

from tests.switchyard.gateway.quota.limited import Away, ledger
from tests.switchyard.store.conftest import redis_server, sqlite_url, url

__all__ = ["away", "redis_server", "sqlite_url", "url"]


@pytest.fixture
async def away(url: str) -> AsyncIterator[Away]:
    async with ledger(url) as opened:
        yield Away(opened)
