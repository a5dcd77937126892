"""``python -m benchmarks.models.replacement``: from the kill of Triton, or of a model's process in it, to a text.

Each is killed as the kernel would for want of memory, while the service is awake and nothing else is asked.
"""

import argparse
import os
import signal
import time
import urllib.error

import psutil

from benchmarks import platform
from benchmarks.models.ocr import read
from benchmarks.models.vision_start import PHOTO
from benchmarks.processes import wait_for
from benchmarks.report import Figure, publish

KILLED = {"Triton": "tritonserver", "a model's process": "/ocr-detection/"}  # words of their command lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    times: dict[str, list[float]] = {name: [] for name in KILLED}
    with platform.running(window="600s") as running:
        url = f"{running.url}/v1/ocr"
        wait_for(lambda: platform.preloaded(running), "the preloaded parent")
        for _ in range(rounds):
            for name, word in KILLED.items():
                read(url, PHOTO)
                pid = _process(running.supervisor.pids(), word)
                os.kill(pid, signal.SIGKILL)
                began = time.perf_counter()
                wait_for(lambda: _reads(url), "text again")
                times[name].append(time.perf_counter() - began)
    figures = [
        Figure(name=f"{name} is killed, to the next text", unit="s", values=tuple(values), target="<= 5")
        for name, values in times.items()
    ]
    publish("models.replacement", figures, {"rounds": rounds})


def _process(pids: list[int], word: str) -> int:
    """The first whose program, or an argument of it, has ``word``."""
    for pid in pids:
        argv = psutil.Process(pid).cmdline()
        if word in " ".join(argv) and "predictors." not in " ".join(argv):
            return pid
    raise RuntimeError(f"no process has {word} in its command line")


def _reads(url: str) -> bool:
    try:
        return bool(read(url, PHOTO))
    except (urllib.error.HTTPError, OSError):
        return False


if __name__ == "__main__":
    main()
