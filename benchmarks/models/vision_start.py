"""``python -m benchmarks.models.vision_start``: from a sleeping service to the text of a photo."""

import argparse
import time

from benchmarks import platform
from benchmarks.models.ocr import PICTURES, read
from benchmarks.processes import wait_for
from benchmarks.report import Figure, publish

PHOTO = PICTURES / "car.jpg"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    times: list[float] = []
    awake: list[float] = []
    phases: dict[str, list[float]] = {}
    with platform.running(window="6s") as running:
        url = f"{running.url}/v1/ocr"
        wait_for(lambda: platform.preloaded(running), "the preloaded parent")
        for _ in range(rounds):
            wait_for(lambda: running.row("vision")["state"] == "asleep", "the pod has ended")  # not only drains
            began = time.perf_counter()
            read(url, PHOTO)
            times.append(time.perf_counter() - began)
            began = time.perf_counter()
            read(url, PHOTO)
            awake.append(time.perf_counter() - began)
            for phase, seconds in running.row("vision")["phases"].items():
                phases.setdefault(phase, []).append(seconds)
    figures = [
        Figure(name="sleeping service, photo to text", unit="s", values=tuple(times), target="<= 4"),
        Figure(name="the same when awake", unit="s", values=tuple(awake)),
        *(Figure(name=f"phase {name}", unit="s", values=tuple(values)) for name, values in phases.items()),
    ]
    publish("models.vision_start", figures, {"rounds": rounds})


if __name__ == "__main__":
    main()
