"""``python -m benchmarks.floods``: every flood against every process of ours that listens.

``--target gateway`` and ``--flood HPACK`` choose. A flood whose connections are closed opens new ones. Meanwhile
another client asks for a page every 20 ms, on a kept connection and on a new one; it shares a processor with the
attacker, who has a lower priority. A server's limits in time that are longer than a flood are not met here:
``tests/one_server/test_floods.py`` has shorter ones.
``--check`` fails where a process grows by more than its pod has, or other clients are not served.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.floods.measuring import Row, rows_of
from benchmarks.floods.targets import running
from benchmarks.report import Figure, publish

_MOST_MB = 384  # over idle: a pod has 512 MiB
_MOST_FAILED = 0.05  # of others' requests: a connection that idles for a moment may have to give way


def _say(row: Row) -> None:
    waits = f"{row.waits.percentile(50):5.1f} {row.waits.percentile(99):6.1f} ms, {row.waits.failed} failed"
    cost = f"{row.over_idle:6.1f} MB {row.processor:4.2f} s/s"
    print(
        f"{row.target:12} {row.flood:45} {cost} {waits}; {row.outcome.sent / 2**20:.0f} MB: {row.outcome}", flush=True
    )


def _figures(measured: list[Row]) -> Iterator[Figure]:
    """Of each process over all floods: a value for each flood, in their order."""
    for target in dict.fromkeys(row.target for row in measured):
        rows = [row for row in measured if row.target == target]
        memory, p99 = tuple(row.over_idle for row in rows), tuple(row.waits.percentile(99) for row in rows)
        p50, processor = tuple(row.waits.percentile(50) for row in rows), tuple(row.processor for row in rows)
        yield Figure(name=f"{target}: memory over idle", unit="MB PSS", values=memory, target="<= 64")
        yield Figure(name=f"{target}: others wait, p99", unit="ms", values=p99, target="<= 50")
        yield Figure(name=f"{target}: others wait, p50", unit="ms", values=p50)
        yield Figure(name=f"{target}: processor time", unit="s/s", values=processor)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", action="append", default=[], help="a process, or several")
    parser.add_argument("--flood", default="", help="floods whose name has this")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each flood")
    parser.add_argument("--check", action="store_true", help="exit with 1 if others or memory suffered")
    options = parser.parse_args()
    measured = []
    with tempfile.TemporaryDirectory() as name, running(Path(name), tuple(options.target)) as targets:
        names = [target.name for target in targets]
        for row in rows_of(targets, options.flood, options.seconds):
            _say(row)
            measured.append(row)
    if not options.target and not options.flood:
        publish("floods", list(_figures(measured)), {"rounds": 1, "seconds": options.seconds, "targets": names})
    suffered = [row for row in measured if row.over_idle > _MOST_MB or row.waits.share_failed > _MOST_FAILED]
    for row in suffered if options.check else ():
        print(f"{row.target} suffers from {row.flood}: {row.over_idle:.0f} MB, {row.waits.share_failed:.0%} not served")
    return int(options.check and bool(suffered))


if __name__ == "__main__":
    sys.exit(main())
