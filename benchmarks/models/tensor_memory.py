"""``python -m benchmarks.models.tensor_memory``: what the vision predictor holds while large tensors pass through it.

Rounds of requests of 10 MB to a model that answers with its input, several at once; the predictor's memory is read
after each round, when nothing is in flight. What a round leaves behind after the second is a leak.
"""

import argparse
import asyncio
import tempfile
from pathlib import Path

from benchmarks.models.passthrough import LARGE, MODEL, PROTOCOLS, Way, load, way
from benchmarks.models.triton import Pod, pod, write_identity
from benchmarks.report import Figure, publish

CLIENTS = 4
WARM = 2  # rounds in which pools and buffers reach their sizes


async def one_round(running: Pod, protocol: str, requests: int) -> float:
    """Sends ``requests`` and returns the predictor's memory afterwards, in MB (PSS)."""
    sender = way(protocol, running.http if protocol == "REST" else running.grpc, LARGE)
    await asyncio.gather(*(_ask(sender, requests // CLIENTS) for _ in range(CLIENTS)))
    await sender.close()
    return running.predictor.pss_mb()


async def _ask(sender: Way, times: int) -> None:
    for _ in range(times):
        await sender.ask()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--requests", type=int, default=40, help="in each round")
    options = parser.parse_args()
    figures = []
    with tempfile.TemporaryDirectory() as name:
        write_identity(Path(name) / "repository", MODEL)
        with pod(Path(name) / "repository", Path(name)) as running:
            asyncio.run(load(running))
            for protocol in PROTOCOLS:
                held = [asyncio.run(one_round(running, protocol, options.requests)) for _ in range(options.rounds)]
                left = tuple(after - before for before, after in zip(held[WARM - 1 :], held[WARM:], strict=False))
                figures += [
                    Figure(name=f"{protocol}: memory of the predictor, round by round", unit="MB", values=tuple(held)),
                    Figure(name=f"{protocol}: left behind by a warm round", unit="MB", values=left, target="<= 1"),
                ]
    publish(
        "models.tensor_memory", figures, {"rounds": options.rounds, "requests": options.requests, "clients": CLIENTS}
    )


if __name__ == "__main__":
    main()
