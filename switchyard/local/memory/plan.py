"""Who may be awake at the same time; pure, so that it can be tested for every mix of models."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

_GIB, _MIB = 1024**3, 1024**2

# busy: has requests, or is only starting; ending: its process has been told to end; pinned: never makes room.
Use = Literal["idle", "busy", "ending", "pinned"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Resident:
    """Something that holds ``bytes`` of memory, and when it was last used (any clock)."""

    name: str
    bytes: int
    use: Use
    last_used: float = 0.0


@dataclass(frozen=True, slots=True)
class Fits:
    """There is room once those in ``sleep`` have ended; none of them is made to sleep in vain."""

    sleep: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Waits:
    """There is no room yet; ``reason`` is a sentence without its subject."""

    reason: str


@dataclass(frozen=True, slots=True)
class Never:
    """There will be no room, whoever sleeps; ``reason`` has the sum."""

    reason: str


Decision = Fits | Waits | Never


def decide(needed: int, residents: Sequence[Resident], capacity: int) -> Decision:
    """Decide about a model that needs ``needed`` bytes beside ``residents``, of ``capacity`` bytes in all.

    Idle ones make room, the least recently used first.
    """
    always = [resident for resident in residents if resident.use == "pinned"]
    if needed > capacity - _sum(always):
        return Never(_too_large(needed, always, capacity))
    free = capacity - _sum(residents)
    if needed <= free:
        return Fits()
    free += _sum(resident for resident in residents if resident.use == "ending")
    if needed <= free:
        return Waits(f"waits for {size(needed)} of memory, which {_names(residents, 'ending')} is giving back")
    idle = sorted((one for one in residents if one.use == "idle"), key=lambda one: one.last_used)
    chosen: list[Resident] = []
    while idle and needed > free + _sum(chosen):
        chosen.append(idle.pop(0))
    if needed > free + _sum(chosen):
        held = f"{_names(residents, 'busy')} have requests" if residents else "nothing is free"
        return Waits(f"waits for {size(needed)} of memory: {size(capacity)} are for models here, and {held}")
    for recent in reversed(chosen[:-1]):  # a large one that is older than it may suffice
        if needed <= free + _sum(chosen) - recent.bytes:
            chosen.remove(recent)
    return Fits(tuple(one.name for one in chosen))


def size(count: int) -> str:
    """Format a number of bytes for people."""
    return f"{count / _GIB:.1f} GiB" if count >= _GIB else f"{count / _MIB:.0f} MiB"


def _sum(residents: Iterable[Resident]) -> int:
    return sum(resident.bytes for resident in residents)


def _names(residents: Iterable[Resident], use: Use) -> str:
    held = [f"{one.name} ({size(one.bytes)})" for one in residents if one.use == use]
    return ", ".join(held) or "others"


def _too_large(needed: int, always: Sequence[Resident], capacity: int) -> str:
    beside = f", of which {_names(always, 'pinned')} always hold {size(_sum(always))}" if always else ""
    return (
        f"needs {size(needed)} of memory, but models may take {size(capacity)} here{beside}: choose a smaller or "
        "quantized model, stop what else runs on this machine, or raise SWITCHYARD_MEMORY"
    )
