"""How often the call of a step is retried."""

from dataclasses import dataclass

from switchyard.backoff import Backoff

UNAVAILABLE = frozenset((502, 503, 504))  # what a proxy says for a service that is away
# Envoy's defaults: 25 ms, and ten times that at most.
_BACKOFF = Backoff(first=0.025, most=0.25)


@dataclass(frozen=True, kw_only=True, slots=True)
class Retry:
    """Up to ``attempts`` calls, with pauses between them."""

    attempts: int = 3
    backoff: Backoff = _BACKOFF


class RetryBudget:
    """Limits retries to a share of requests, so that an overloaded service does not get several times the load.

    Each request adds ``share`` of a retry to the balance, which starts at ``most`` and never exceeds it.
    """

    __slots__ = ("_left", "_most", "_share")

    # A fifth is the default of Envoy's budget too. Ten to start with, or a service that is seldom called has none.
    def __init__(self, share: float = 0.2, most: float = 10.0) -> None:
        self._share = share
        self._left = self._most = most

    def earn(self) -> None:
        """Add the share of one request."""
        self._left = min(self._most, self._left + self._share)

    def spend(self) -> bool:
        """Take one retry from the balance; return whether there was one."""
        if self._left < 1:
            return False
        self._left -= 1
        return True
