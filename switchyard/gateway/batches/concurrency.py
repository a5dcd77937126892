"""How many lines of a batch run at a time: no more than make it quicker, so that clients do not wait behind them."""

from collections.abc import Callable

_FEW = 4  # which no client notices, and which keep a model busy while this gateway has other things to do
_LINES = 16  # that are measured at least, before the number is changed
_GAIN = 1.15  # of a number twice as large, or it is not worth its waiting
_STEADY_SECONDS = 5.0  # until more are tried again: what else the model has to do changes


class AdaptiveConcurrency:
    """Doubles the number while twice as many lines finish noticeably more in a time, else halves it, for a while.

    What finishes in a time is by Little's law the number of lines by their mean time, which pauses do not change. The
    first line runs alone, as its model may sleep; then ``_FEW`` at least. ``time`` is in seconds.
    """

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self.reset()

    def reset(self) -> None:
        """Begin with one line again."""
        self.now = 1
        self._rate = 0.0
        self._steady_until: float | None = None
        self._begin()

    def ended(self, seconds: float) -> None:
        """Learn that a line has ended well, after so many seconds."""
        if self.now == 1:
            self.now = _FEW
            return
        self._lines += 1
        self._seconds += seconds
        if self._lines < max(_LINES, self.now):
            return
        rate = self.now * self._lines / max(self._seconds, 1e-6)
        if self._steady_until is not None:
            if self._time() >= self._steady_until:
                self._steady_until = None
                self._double(rate)
        elif rate >= self._rate * _GAIN:
            self._double(rate)
        else:
            self.now = max(_FEW, self.now // 2)
            self._steady_until = self._time() + _STEADY_SECONDS
        self._begin()

    def _double(self, rate: float) -> None:
        self._rate = rate
        self.now *= 2

    def _begin(self) -> None:
        self._lines = 0
        self._seconds = 0.0
