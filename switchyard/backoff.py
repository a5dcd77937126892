"""Pauses that grow with each failure in a row."""

from dataclasses import dataclass


@dataclass(kw_only=True, slots=True)
class Backoff:
    """Pauses that double from ``first`` to ``most`` seconds; ``failures`` counts those since the last ``reset``."""

    first: float = 0.5
    most: float = 30.0
    failures: int = 0

    def failed(self) -> float:
        """Count a failure; return the seconds to wait before the next attempt."""
        self.failures += 1
        return float(min(self.first * 2 ** min(self.failures - 1, 16), self.most))

    def reset(self) -> None:
        """Forget the failures, after a success."""
        self.failures = 0
