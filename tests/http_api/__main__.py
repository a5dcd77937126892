"""Asks a gateway's routes anything, each run with another seed: ``python -m tests.http_api [--minutes M]``."""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.http_api.running import ask_anything, full_gateway

EXAMPLES = 30  # of each route and run
MOST_MB = 16.0  # that the gateway may grow by after the first run, in which pools and caches fill


async def fuzz(minutes: float) -> bool:
    """Return whether all went well; at least two runs, as growth is seen from the second on."""
    end, warm, runs = time.monotonic() + minutes * 60, 0.0, 0
    with tempfile.TemporaryDirectory() as name:
        async with full_gateway(Path(name)) as gateway:
            while runs < 2 or time.monotonic() < end:
                options = ("--max-examples", str(EXAMPLES), "--seed", str(random.randrange(2**32)))
                report = await ask_anything(gateway.url, *options, key=gateway.key, folder=Path(name))
                memory = gateway.command.tree.pss_mb()
                warm, runs = warm or memory, runs + 1
                print(f"http_api {report.requests:>17} requests, gateway {memory:.0f} MB", flush=True)
                log = gateway.command.log.read_text()
                if not report.passed or "Traceback" in log or memory > warm + MOST_MB:
                    print(report.text if not report.passed else log[-5000:])
                    return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.http_api", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2)
    return int(not asyncio.run(fuzz(parser.parse_args().minutes)))


if __name__ == "__main__":
    sys.exit(main())
