"""What limits and bills need of a store: counters by window, reservations that end by themselves, usage written once.

``tests/switchyard/store/test_ledger_contract.py`` runs against each implementation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol


class Claim(NamedTuple):
    """What one call takes of one limit: ``amount`` of ``limit`` units (requests, tokens, nano-dollars).

    ``kind`` says what is counted: what is ``held`` at once; what was taken in any ``seconds`` (``rolling``); what is
    taken until ``ends``, in seconds since 1970 (``period``: its counter has a name of its own for each day or month).
    Without ``enforced`` the claim is counted and never denied. Amounts stay below 2**53: Redis counts in doubles. The
    claims of one call name different counters; the same name with another kind or window is another counter. Counters
    whose names begin with the same word may be stored together.
    """

    counter: str
    amount: int
    limit: int
    kind: Literal["held", "rolling", "period"]
    seconds: int = 0
    ends: float = 0.0
    enforced: bool = True


class Level(NamedTuple):
    """A counter after an operation; ``free_in`` is in how many seconds the claim would fit, 0 where it does now.

    For ``held`` it is 0 too: nobody knows when another call ends. A claim above its limit never fits; for it,
    ``free_in`` is when the counter will be empty at the latest.
    """

    used: int
    free_in: float


@dataclass(frozen=True, slots=True)
class Grant:
    """All claims were taken; ``levels`` has one for each, in their order."""

    levels: tuple[Level, ...]


@dataclass(frozen=True, slots=True)
class Denial:
    """No claim was taken, because ``denied`` (an index) does not fit; of several it is the one that is free last."""

    levels: tuple[Level, ...]
    denied: int


@dataclass(frozen=True, slots=True)
class Entry:
    """The usage of one call: its ``row`` is kept as it is, and its ``amounts`` are added to totals.

    ``dimensions`` is what totals are kept apart by, in a form that only the caller knows.
    """

    row: bytes
    dimensions: str
    amounts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Total:
    """What the entries with the same ``dimensions`` add up to, from ``start`` (seconds since 1970) for one width."""

    start: int
    dimensions: str
    amounts: tuple[int, ...]


Width = Literal[60, 3600, 86400]

_MAX_AMOUNT = 2**53
_MAX_CLAIMS = 32  # of one call: each is looked up and written
_MAX_LEASE = 86400.0  # Redis keeps what is held for a day longer than its last lease


def check_claims(claims: Sequence[Claim]) -> None:
    """Check what a caller promises of its claims.

    Raises:
        ValueError: an amount or a window is out of range, a counter is named twice, or there are too many claims.
    """
    if len(claims) > _MAX_CLAIMS:
        raise ValueError(f"{len(claims)} claims are too many for one call: at most {_MAX_CLAIMS}")
    for claim in claims:
        if not 0 <= claim.amount < _MAX_AMOUNT:
            raise ValueError(f"the amount {claim.amount} of {claim.counter!r} is not from 0 to 2**53 - 1")
        if claim.kind == "rolling" and claim.seconds <= 0:
            raise ValueError(f"the window of {claim.counter!r} is {claim.seconds} s: it has at least 1 s")
    if len({claim.counter for claim in claims}) == len(claims):
        return
    if len({(claim.counter, claim.kind, claim.seconds) for claim in claims}) < len(claims):
        raise ValueError("two claims of one call name the same counter")


def check_lease(lease: float) -> None:
    """Check how long a reservation is to last.

    Raises:
        ValueError: it is not from 0 to 86400 s.
    """
    if not 0 < lease <= _MAX_LEASE:
        raise ValueError(f"a lease of {lease:g} s is not possible: more than 0 and at most {_MAX_LEASE:g} s")


class Ledger(Protocol):
    """Counters and usage by owner, the same for all processes that share the store.

    Each method is one atomic operation (in Redis one script, all keys of an owner in one hash slot). Time is the
    store's own. All raise ``StoreError`` when the store does not respond; an operation may then have happened or not,
    and repeating it with the same ``call_id`` is safe.
    """

    async def reserve(self, owner: str, call_id: str, claims: Sequence[Claim], *, lease: float) -> Grant | Denial:
        """Take all claims or none. After ``lease`` seconds without ``renew`` or ``settle`` they are given back."""

    async def renew(self, owner: str, call_ids: Sequence[str], *, lease: float) -> None:
        """Hold reservations for ``lease`` seconds from now; those that have ended stay so."""

    async def settle(
        self, owner: str, call_id: str, claims: Sequence[Claim], entry: Entry | None
    ) -> tuple[Level, ...] | None:
        """Put what the call really took in place of what it had reserved, and write its entry; ``held`` is given back.

        ``claims`` are those of ``reserve`` with the real amounts, which are taken even where they exceed the limit. A
        reservation that has ended is charged all the same. Returns None, and does nothing, if the call was settled
        already.
        """

    async def totals(self, owner: str, *, since: int, until: int, width: Width) -> list[Total]:
        """Return the totals that start at ``since`` or later and before ``until``, in their order."""

    async def rows(
        self, owner: str, *, since: int, until: int, after: str = "", count: int = 1000
    ) -> list[tuple[str, bytes]]:
        """Return up to ``count`` (cursor, row) in the order of settling; ``after`` is the last page's last cursor."""

    async def owners(self) -> list[str]:
        """Return who has usage, in alphabetical order."""

    async def prune(self, before: int) -> None:
        """Forget rows and totals of calls that were settled before ``before`` (seconds since 1970)."""

    async def aclose(self) -> None:
        """Wait for operations in progress and close files and connections; may be called again."""
