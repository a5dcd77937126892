"""``python -m benchmarks.floods``: every flood against every process of ours that listens.

``--target gateway`` and ``--flood HPACK`` choose. A flood whose connections are closed opens new ones. Meanwhile
another client asks for a page every 20 ms, on a kept connection and on a new one; it shares a processor with the
attacker, who has a lower priority. A server's limits in time that are longer than a flood are not met here:
``tests/one_server/test_floods.py`` has shorter ones.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.floods.measuring import Row, rows
from benchmarks.floods.targets import running
from benchmarks.report import Figure, publish


def _say(row: Row) -> None:
    waits = f"{row.waits.percentile(50):5.1f} {row.waits.percentile(99):6.1f} ms, {row.waits.failed} failed"
    cost = f"{row.over_idle:6.1f} MB {row.processor:4.2f} s/s"
    print(
        f"{row.target:12} {row.flood:45} {cost} {waits}; {row.outcome.sent / 2**20:.0f} MB: {row.outcome}", flush=True
    )


def _figures(measured: list[Row]) -> Iterator[Figure]:
    for row in measured:
        name = f"{row.target}, {row.flood}"
        yield Figure(name=f"{name}: PSS over idle", unit="MB", values=(row.over_idle,), target="<= 64")
        yield Figure(name=f"{name}: processor ({row.outcome})", unit="s/s", values=(row.processor,))
        p50, p99 = row.waits.percentile(50), row.waits.percentile(99)
        yield Figure(name=f"{name}: others wait, p50", unit="ms", values=(p50,))
        yield Figure(name=f"{name}: others wait, p99", unit="ms", values=(p99,), target="<= 50")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", action="append", default=[], help="a process, or several")
    parser.add_argument("--flood", default="", help="floods whose name has this")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each flood")
    options = parser.parse_args()
    measured = []
    with tempfile.TemporaryDirectory() as name, running(Path(name), tuple(options.target)) as targets:
        for row in rows(targets, options.flood, options.seconds):
            _say(row)
            measured.append(row)
    if not options.target and not options.flood:
        publish("floods", list(_figures(measured)), {"rounds": 1, "seconds": options.seconds})


if __name__ == "__main__":
    main()
