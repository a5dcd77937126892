"""``python -m benchmarks.models.ocr``: pictures through the vision predictor against the package's own pipeline.

Ours are HTTP clients of ``POST /v1/vision/ocr``; theirs are threads that call the pipeline in its process. Both read
the pictures of ``tests/testdata/pictures`` in whole rounds and take turns.
"""

import argparse
import json
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from benchmarks.models.triton import pod
from benchmarks.processes import ROOT
from benchmarks.report import Figure, publish, ratios

PICTURES = ROOT / "tests" / "testdata" / "pictures"
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
CLIENTS = (1, 8)


def pictures() -> list[Path]:
    return sorted(path for path in PICTURES.iterdir() if path.suffix.lower() in SUFFIXES)


def read(url: str, picture: Path) -> str:
    """The text that a server finds in ``picture``."""
    headers = {"content-type": "image/*", "accept": "application/json"}
    request = urllib.request.Request(url, data=picture.read_bytes(), headers=headers)
    with urllib.request.urlopen(request, timeout=120) as answer:
        return str(json.load(answer)["text"])


def ours(url: str, clients: int, seconds: float) -> tuple[float, dict[str, str]]:
    """Pictures a second, and what was read."""
    texts: dict[str, str] = {}
    counts = [0] * clients
    files = pictures()
    began = time.perf_counter()

    def run(number: int) -> None:
        while time.perf_counter() < began + seconds:
            for picture in files:
                texts[picture.name] = read(url, picture)
                counts[number] += 1

    workers = [threading.Thread(target=run, args=(number,)) for number in range(clients)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) / (time.perf_counter() - began), texts


class Pipeline:
    """The package's pipeline in a process of its own."""

    def __init__(self, files: Sequence[Path]) -> None:
        # -I: modules of this folder, such as platform, must not hide those of Python itself
        argv = [str(ROOT / ".venv-triton/bin/python"), "-I", str(ROOT / "benchmarks/models/rapidocr_pipeline.py")]
        argv += map(str, files)
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._line()

    def _line(self) -> dict[str, object]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the package's pipeline ended; see what it said above")
        answer: dict[str, object] = json.loads(line)
        return answer

    def measure(self, threads: int, seconds: float) -> tuple[float, dict[str, str]]:
        """Pictures a second, and what was read."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"threads": threads, "seconds": seconds}) + "\n")
        self._process.stdin.flush()
        answer = self._line()
        texts = answer["texts"]
        assert isinstance(texts, dict)
        return float(str(answer["pictures"])) / float(str(answer["seconds"])), texts

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0)
    options = parser.parse_args()
    rates: dict[tuple[str, int], list[float]] = {}
    same: list[float] = []
    theirs = Pipeline(pictures())
    try:
        with tempfile.TemporaryDirectory() as name, pod(ROOT / "model-repository/vision", Path(name)) as running:
            url = f"http://{running.http}/v1/vision/ocr"
            read(url, pictures()[0])
            for _ in range(options.rounds):
                for clients in CLIENTS:
                    mine, my_texts = ours(url, clients, options.seconds)
                    other, their_texts = theirs.measure(clients, options.seconds)
                    rates.setdefault(("ours", clients), []).append(mine)
                    rates.setdefault(("theirs", clients), []).append(other)
                    equal = sum(my_texts[picture] == text for picture, text in their_texts.items())
                    same.append(equal / len(their_texts))
    finally:
        theirs.stop()
    figures = [
        Figure(
            name=f"{clients} clients: pictures/s against the package's pipeline",
            unit="x",
            values=ratios(rates["ours", clients], rates["theirs", clients]),
            target=target,
        )
        for clients, target in zip(CLIENTS, (">= 0.95", ">= 1.5"), strict=True)
    ]
    figures += [
        Figure(name=f"{clients} clients: ours", unit="pictures/s", values=tuple(rates["ours", clients]))
        for clients in CLIENTS
    ]
    figures.append(Figure(name="pictures with the same text", unit="share", values=tuple(same), target="1"))
    publish("models.ocr", figures, {"rounds": options.rounds, "seconds": options.seconds, "pictures": len(pictures())})


if __name__ == "__main__":
    main()
