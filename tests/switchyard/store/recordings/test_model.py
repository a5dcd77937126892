"""SQLite and Redis do what a plain model does, whatever is asked of them and however time passes between."""

import itertools
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from switchyard.store.recordings.contract import INLINE_BYTES, Bounds, Recordings, SupersededError
from switchyard.store.recordings.redis import RedisRecordings
from switchyard.store.recordings.sqlite import SqliteRecordings
from tests.switchyard.store.conftest import RedisServer
from tests.switchyard.store.recordings.conftest import BEGIN, Clock
from tests.switchyard.store.recordings.model import Model

NAMES = ["key:a", "key:b", "cache:c", "request:x"]
BOUNDS = [Bounds(recordings=2), Bounds(size=100), Bounds(recordings=0), Bounds()]
TTLS = [70.0, 600.0]  # of real time nothing may end that the test's clock has not ended
SEGMENTS = st.sampled_from([b"", b"x", b"forty bytes" * 4, bytes(101), bytes(INLINE_BYTES // 2)])


@dataclass(frozen=True)
class Step:
    """``operation`` on the recording that was claimed ``back`` claims ago, or on a name; ``more`` are its arguments."""

    operation: str
    back: int
    name: str
    more: dict[str, Any]


LEASES, AFTER, NUMBERS = st.sampled_from([1.0, 30.0]), st.integers(0, 3), st.integers(-1, 1)
ARGUMENTS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "claim": {
        "lease": LEASES,
        "ttl": st.sampled_from(TTLS),
        "aliases": st.lists(st.sampled_from(NAMES), max_size=2),
        "report_lost": st.booleans(),
    },
    "append": {"number": NUMBERS, "segment": SEGMENTS, "lease": LEASES},
    "finish": {
        "number": NUMBERS,
        "segment": SEGMENTS,
        "complete": st.sampled_from([True, True, False]),
        "ttl": st.sampled_from(TTLS),
        "bounds": st.sampled_from(BOUNDS),
    },
    "find": {"after": AFTER},
    "follow": {"after": AFTER},
    "forget": {},
    "clear": {},
    "wait": {"seconds": st.sampled_from([0.77, 3.1, 11.7, 67.9])},
}
OFTEN = [*["claim"] * 6, *["append"] * 3, *["finish"] * 4, *["wait"] * 3, *["find", "follow"] * 2, "forget", "clear"]


@st.composite
def any_step(draw: st.DrawFn) -> Step:
    operation = draw(st.sampled_from(OFTEN))
    more = draw(st.fixed_dictionaries(ARGUMENTS[operation]))
    return Step(operation, draw(st.integers(0, 3)), draw(st.sampled_from(NAMES)), more)


async def outcome(operation: Awaitable[Any]) -> Any:
    """Return what an operation returns, or the name of its error."""
    try:
        return await operation
    except (SupersededError, ValueError) as err:
        return type(err).__name__


class Comparison:
    """One scope of two handles to one store, as two processes have them, beside the model."""

    def __init__(self, opened: list[Recordings], clock: Clock, scope: str) -> None:
        self.processes = itertools.cycle([opened[0], *opened])
        self.clock = clock
        self.scope = scope
        self.model = Model()
        self.claimed: list[str] = []

    async def take(self, steps: list[Step]) -> None:
        for one in steps:
            self.clock.now += one.more.get("seconds", 0.001)
            self.model.move_to(self.clock.now)
            if one.operation != "wait":
                await self.same(one)
        for name in NAMES:
            assert await next(self.processes).find(self.scope, name) == self.model.find(name, 0)
        assert await next(self.processes).held(self.scope) == self.model.held()

    async def same(self, one: Step) -> None:
        expected, ask = self.asked(one)
        assert await outcome(ask(next(self.processes))) == expected, one
        if one.operation in ("claim", "append", "finish"):  # may be repeated
            assert await outcome(ask(next(self.processes))) == expected, one

    def asked(self, one: Step) -> tuple[Any, Callable[[Recordings], Awaitable[Any]]]:
        """Return what the model does, and how an implementation is asked for the same."""
        scope, more, model = self.scope, dict(one.more), self.model
        if one.operation == "claim":
            recording, names = f"{len(self.claimed)}", [one.name, *more.pop("aliases")]
            self.claimed.append(recording)
            expected: Any = model.claim(names, recording, **more)
            return expected, lambda store: store.claim(
                scope, names[0], recording, recording.encode(), aliases=names[1:], **more
            )
        if one.operation == "find":
            return model.find(one.name, **more), lambda store: store.find(scope, one.name, **more)
        if one.operation == "forget":
            return model.forget(one.name), lambda store: store.forget(scope, one.name)
        if one.operation == "clear":
            kind = one.name.partition(":")[0]
            return model.clear(kind), lambda store: store.clear(scope, kind)
        recording = self.claimed[-1 - one.back % len(self.claimed)] if self.claimed else "unknown"
        if one.operation == "follow":
            return model.follow(recording, **more), lambda store: store.follow(scope, recording, **more)
        known = model.recordings.get(recording)
        number = max(0, (len(known.segments) if known else 0) + more.pop("number"))
        if one.operation == "append":
            return model.append(recording, number, **more), lambda store: store.append(scope, recording, number, **more)
        return model.finish(recording, number, **more), lambda store: store.finish(scope, recording, number, **more)


async def compare(opened: Callable[[Clock], Recordings], scope: str, steps: list[Step]) -> None:
    clock = Clock(BEGIN)
    processes = [opened(clock), opened(clock)]
    try:
        await Comparison(processes, clock, scope).take(steps)
    finally:
        for process in processes:
            await process.aclose()


@settings(
    max_examples=settings().max_examples // 2,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(any_step(), min_size=15, max_size=40))
async def test_both_do_what_the_model_does(tmp_path: Path, redis_server: RedisServer, steps: list[Step]) -> None:
    scope = str(uuid.uuid4())
    await compare(lambda clock: SqliteRecordings(tmp_path / f"{scope}.db", clock=clock), scope, steps)
    await compare(lambda clock: RedisRecordings(redis_server.url, seconds=10, clock=clock), scope, steps)
