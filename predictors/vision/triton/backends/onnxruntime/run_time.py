"""A bound on the time of one run: a graph may loop for ever on some inputs, and Triton waits for what it has begun.

Neither ONNX Runtime nor Triton ends a run, not even for an unload. The kernel does: the signal of a timer ends the
process, whatever it computes. Triton says so of its requests, and the predictor has the model loaded anew.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

VARIABLE = "RUN_SECONDS"
# Twice what a predictor waits for an image by default, since a run may be a batch of several; 0 for no bound.
SECONDS = float(os.environ.get(VARIABLE, "120"))


@contextmanager
def bounded() -> Iterator[None]:
    """End this process by SIGALRM if the block takes longer."""
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
