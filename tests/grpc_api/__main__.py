"""Makes broken gRPC calls to a predictor for a while: ``python -m tests.grpc_api [--minutes M]``."""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.processes import Command, free_port
from tests.grpc_api.calls import changed, odd
from tests.grpc_api.client import ask, problems
from tests.grpc_api.test_any_call import CHANGED, MODEL, MOST_MB, PREDICTOR


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.grpc_api", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1)
    end, runs, warm = time.monotonic() + parser.parse_args().minutes * 60, 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        predictor = Command([sys.executable, str(PREDICTOR), str(port), "0"], Path(folder) / "predictor.log")
        try:
            predictor.wait_for(f"http://127.0.0.1:{port}/")
            while time.monotonic() < end:
                seed = random.randrange(2**32)
                found = problems(ask(port, [*odd(MODEL), *changed(random.Random(seed), MODEL, CHANGED)]))
                warm, runs = warm or predictor.tree.pss_mb(), runs + 1
                if found or predictor.tree.pss_mb() > warm + MOST_MB:
                    print(f"seed {seed}, {predictor.tree.pss_mb():.0f} MB:", *found, sep="\n")
                    return 1
            print(f"grpc_api {runs} rounds of calls, predictor {predictor.tree.pss_mb():.0f} MB")
        finally:
            predictor.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
