"""Stages around each other: each sees a call before and after the stages behind it."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol

from switchyard.gateway.call import Call

Proceed = Callable[[Call], Awaitable[None]]


class Stage(Protocol):
    """``async def stage(call, proceed)``: awaits ``proceed(call)`` for what comes behind it, or responds itself.

    What it does after ``proceed`` it does knowing the response; ``try``/``finally`` around it sees errors and the
    cancellation that a disconnect of the caller brings.
    """

    def __call__(self, call: Call, proceed: Proceed) -> Awaitable[None]: ...


def pipeline(stages: Sequence[Stage]) -> Proceed:
    """All of ``stages``, the first outermost; the last one responds."""
    proceed: Proceed = _unanswered
    for stage in reversed(stages):
        proceed = partial(stage, proceed=proceed)
    return proceed


async def _unanswered(call: Call) -> None:
    raise RuntimeError(f"no stage responds to {call.route.path}")
