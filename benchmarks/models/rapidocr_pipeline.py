"""The package's own OCR pipeline in one process, for ``benchmarks.models.ocr``; run by the interpreter of .venv-triton.

It prints one JSON line when it is ready and one for each line it reads: ``{"threads": n, "seconds": s}`` is answered by
``{"pictures": n, "seconds": s, "texts": {file: text}}``. Files are decoded as ``image-decode`` does it, because the
package misreads palettes, CMYK and transparency.
"""

import json
import sys
import threading
import time
from pathlib import Path

import numpy as np
from rapidocr_onnxruntime import RapidOCR

sys.path.insert(0, str(Path(__file__).parents[2] / "model-repository/vision/image-decode/1"))
from picture import decode

MOST_PIXELS = 40_000_000


def pixels(picture: Path) -> np.ndarray:
    """What the package takes: blue, green, red."""
    return np.ascontiguousarray(decode(picture.read_bytes(), MOST_PIXELS)[:, :, ::-1])


def measure(engine: RapidOCR, pictures: list[Path], threads: int, seconds: float) -> dict[str, object]:
    """Every thread reads the pictures in turn until the time is over; whole rounds only, so that rates compare."""
    texts: dict[str, str] = {}
    counts = [0] * threads
    began = time.perf_counter()

    def run(number: int) -> None:
        while time.perf_counter() < began + seconds:
            for picture in pictures:
                result, _ = engine(pixels(picture))
                texts[picture.name] = "\n".join(row[1] for row in result or ())
                counts[number] += 1

    workers = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return {"pictures": sum(counts), "seconds": time.perf_counter() - began, "texts": texts}


def main() -> None:
    pictures = [Path(name) for name in sys.argv[1:]]
    engine = RapidOCR()
    engine(pixels(pictures[0]))
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(measure(engine, pictures, asked["threads"], asked["seconds"])), flush=True)


if __name__ == "__main__":
    main()
