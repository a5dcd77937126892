"""``python -m benchmarks``: all benchmarks, one after the other, and then their page."""

import subprocess
import sys

from benchmarks import page

NAMES = (
    "gateway",
    "predictor",
    "router",
    "routing",
    "hang_up",
    "cold_start",
    "idle",
    "passthrough",
    "tensor_memory",
    "ocr",
    "vision_start",
    "floods",
)


def main() -> None:
    for name in NAMES:
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
    page.write()


if __name__ == "__main__":
    main()
