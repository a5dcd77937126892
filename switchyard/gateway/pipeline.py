"""Stages around each other: each sees a call before and after the stages inside it."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol

from switchyard.gateway.call import Call

Proceed = Callable[[Call], Awaitable[None]]


class Stage(Protocol):
    """``async def stage(call, proceed)``: awaits ``proceed(call)`` to run the stages inside it, or responds itself.

    Code after ``proceed`` knows the response; ``try``/``finally`` around it sees errors, and the cancellation when the
    caller disconnects. A stage with no such code is a plain function that returns ``proceed(call)``: each coroutine
    that a call waits in is passed through whenever its task wakes.
    """

    def __call__(self, call: Call, proceed: Proceed) -> Awaitable[None]: ...


def pipeline(stages: Sequence[Stage]) -> Proceed:
    """Nest ``stages``, the first outermost; the last one responds."""
    proceed: Proceed = _unanswered
    # From the inside out, once at the start: a call then runs plain nested coroutines, without an index or a list.
    for stage in reversed(stages):
        proceed = partial(stage, proceed=proceed)
    return proceed


async def _unanswered(call: Call) -> None:
    raise RuntimeError(f"no stage responds to {call.route.path}")
