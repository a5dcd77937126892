"""Fuzzes every parser, guided by coverage: ``python -m tests.fuzz [--minutes M] [target …]``.

What was learned is kept below ``build/fuzz`` for the next run; inputs that break an invariant are written beside it.
Put one that was mended into ``tests/fuzz/corpus/<target>``, where ``make test`` runs it for ever.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import inputs

KEPT = Path(__file__).parents[2] / "build" / "fuzz"
_PROGRESS = re.compile(r"#(\d+)\s+\w+\s+cov: (\d+) ft: (\d+)")
_INPUT_SECONDS = 10  # one input may take; thousands of times what any needs
_MEMORY_MB = 2048  # with a margin over what the imports of the largest target take
_START_SECONDS = 120  # for imports, on a busy machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one target; coverage is counted in branches of our code, before and after."""

    name: str
    runs: int
    seconds: float
    covered: tuple[int, int]
    features: tuple[int, int]
    crashes: list[Path]
    log: Path

    @property
    def failed(self) -> bool:
        return bool(self.crashes) or not self.runs

    def __str__(self) -> str:
        covered = "{} → {}".format(*self.covered)
        features = "{} → {}".format(*self.features)
        return f"{self.name:<16}{self.runs:>10}{self.runs / self.seconds:>10.0f}/s   {covered:<14}{features:<16}"


def fuzz(name: str, seconds: int) -> Outcome:
    """Runs one target for ``seconds`` in a process of its own, or until its first crash."""
    grown, crashes = KEPT / "corpus" / name, KEPT / "crashes"
    grown.mkdir(parents=True, exist_ok=True)
    crashes.mkdir(parents=True, exist_ok=True)
    before = set(crashes.glob(f"{name}-*"))
    log = KEPT / f"{name}.log"
    limits = (f"-max_total_time={seconds}", f"-max_len={inputs.LONGEST}", f"-timeout={_INPUT_SECONDS}")
    places = (f"-rss_limit_mb={_MEMORY_MB}", f"-artifact_prefix={crashes}/{name}-", grown, inputs.CORPUS / name)
    began = time.monotonic()
    with log.open("w", encoding="utf-8") as out:
        command = (sys.executable, "-m", "tests.fuzz.running", name, *limits, *places)
        subprocess.run(command, stdout=out, stderr=out, timeout=seconds + _START_SECONDS, check=False)
    found = _PROGRESS.findall(log.read_text(encoding="utf-8", errors="replace"))
    first, last = found[:1] or [("0",) * 3], found[-1:] or [("0",) * 3]
    return Outcome(
        name=name,
        runs=int(last[0][0]) if len(found) > 1 else 0,
        seconds=time.monotonic() - began,
        covered=(int(first[0][1]), int(last[0][1])),
        features=(int(first[0][2]), int(last[0][2])),
        crashes=sorted(set(crashes.glob(f"{name}-*")) - before),
        log=log,
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzzes every parser.")
    parser.add_argument("--minutes", type=float, default=10, help="for all targets together (default 10)")
    parser.add_argument("targets", nargs="*", help=f"some of: {', '.join(inputs.names())}")
    given = parser.parse_args()
    names = given.targets or inputs.names()
    if unknown := set(names) - set(inputs.names()):
        parser.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(inputs.names())}")
    at_once = min(len(names), os.cpu_count() or 1)
    seconds = max(1, int(given.minutes * 60 * at_once / len(names)))
    print(f"{len(names)} targets, {seconds} s each, {at_once} at a time")
    print(f"{'target':<16}{'inputs':>10}{'speed':>12}   {'branches':<14}features")
    with ThreadPoolExecutor(at_once) as pool:
        outcomes = []
        for outcome in pool.map(lambda name: fuzz(name, seconds), names):
            print(outcome, flush=True)
            outcomes.append(outcome)
    for outcome in filter(lambda one: one.failed, outcomes):
        for crash in outcome.crashes:
            print(f"{outcome.name} breaks: python -m tests.fuzz.running {outcome.name} {crash}")
        if not outcome.crashes:
            print(f"{outcome.name} did not run: see {outcome.log}")
    return int(any(outcome.failed for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
