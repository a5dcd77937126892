"""Odd requests by the thousand: ``python -m tests.differential [--cases N] [--seed S]``."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.differential.cases import together
from tests.differential.differences import ARGUMENTS
from tests.differential.judging import Judge, Verdict
from tests.differential.running import arena


async def compare(seed: int, count: int, folder: Path) -> Verdict:
    """Judges every oddity alone, and ``count`` cases of several."""
    async with arena(folder) as running:
        judge = Judge(running)
        await judge.alone()
        await judge.judge(list(together(seed, count)))
        for name, unnamed in running.unnamed().items():
            judge.verdict.unargued += [f"{name} passed on what names no case: {seen}" for seen in unnamed]
        return judge.verdict


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description="Odd requests, compared.")
    parser.add_argument("--cases", type=int, default=2000, help="of several oddities (default 2000)")
    parser.add_argument("--seed", type=int, default=1, help="that they are made from (default 1)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        verdict = asyncio.run(compare(given.seed, given.cases, Path(folder)))
    argued, unargued = verdict.argued.total(), len(verdict.unargued)
    print(f"seed {given.seed}: {verdict.cases} requests, {argued} differ with an argument, {unargued} without one")
    for row, count in verdict.argued.most_common():
        print(f"{count:>6}  {row}: {ARGUMENTS[row]}")
    for case in verdict.unargued:
        print(f"\n{case}")
    return int(bool(verdict.unargued))


if __name__ == "__main__":
    sys.exit(main())
