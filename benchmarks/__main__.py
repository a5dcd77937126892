"""``python -m benchmarks``: all benchmarks, one after the other, and then their page."""

import subprocess
import sys

from benchmarks import page

NAMES = (
    "proxies.gateway",
    "proxies.gateway_rpc",
    "models.predictor",
    "proxies.router",
    "routing",
    "models.disconnect",
    "models.cold_start",
    "models.idle",
    "models.passthrough",
    "models.tensor_memory",
    "models.ocr",
    "models.vision_start",
    "models.replacement",
    "fairness",
    "tenancy.cost",
    "tenancy.scale",
    "tenancy.overshoot",
    "tenancy.kills",
    "repository.drop",
    "repository.kills",
    "repository.swap",
    "repository.zipf",
    "telemetry.page",
    "floods",
    "telemetry.cost",
    "telemetry.cardinality",
    "telemetry.observe",
)


def main() -> None:
    for name in NAMES:
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
    page.write()


if __name__ == "__main__":
    main()
