"""Counts every call to a model, without tenants and ledger."""

from collections.abc import Awaitable
from typing import Any

import pytest

from switchyard.gateway import app
from switchyard.gateway.call import Call as GatewayCall
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.gateway.stages import resolve as stages
from switchyard.http.usage import Usage


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Usage | None]:
    """What each call had used when it was settled, or ended without that; every call to a model is counted."""
    found: list[Usage | None] = []
    original = stages.resolve

    def resolve(**parts: Any) -> Stage:
        inner = original(**parts)

        async def counting(call: GatewayCall, proceed: Proceed) -> None:
            settled = False

            async def settle() -> None:
                nonlocal settled
                if not settled:
                    found.append(call.usage)
                settled = True

            call.settle = settle
            try:
                await inner(call, proceed)
            finally:
                await settle()

        def stage(call: GatewayCall, proceed: Proceed) -> Awaitable[None]:
            return counting(call, proceed)

        return stage

    monkeypatch.setattr(app, "resolve", resolve)
    return found
