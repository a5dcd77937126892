"""The duration of each phase of a start, as log lines that local mode shows and as metrics."""

import logging
import time

import psutil

from switchyard.telemetry.metrics.families import Phase
from switchyard.telemetry.metrics.predictors import InferenceMetrics

logger = logging.getLogger(__name__)


class StartClock:
    """Measures from ``began`` (monotonic seconds) and reports one phase after the other."""

    def __init__(self, model: str, began: float) -> None:
        self._model = model
        self._began = began
        self._last = began
        self._phases: dict[Phase, float] = {}

    def done(self, phase: Phase) -> None:
        """End ``phase``, which began when the phase before it ended."""
        now = time.monotonic()
        self._phases[phase] = now - self._last
        self._last = now
        logger.info("%s done", phase, extra={"phase": phase, "seconds": round(self._phases[phase], 3)})

    def publish(self, metrics: InferenceMetrics) -> None:
        """Export the phases as a metric; their sum is the time from ``began`` on."""
        for phase, seconds in self._phases.items():
            metrics.load_time.labels(self._model, phase).set(seconds)


def process_start() -> float:
    """Return when this process began, in monotonic seconds."""
    boot = psutil.boot_time()  # first, because it is what create_time adds: in whole seconds, and moved with the clock
    return float(psutil.Process().create_time() - boot)
