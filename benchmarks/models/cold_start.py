"""``python -m benchmarks.models.cold_start``: from nothing running to the first token, against vLLM's own server.

Three ways, in turn: vLLM's server started cold; our predictor started as a pod starts it; a sleeping model of the
local platform, woken through the gateway by the request itself. Memory is taken while each is awake.
"""

import argparse
import asyncio
import re
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import platform
from benchmarks.models.predictor import MODEL, start_ours, start_theirs
from benchmarks.processes import wait_for
from benchmarks.report import Figure, publish, ratios
from benchmarks.streams import ask

BODY: Mapping[str, Any] = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "Ana has 3 apples and gets 4 more. How many apples does Ana have?"}],
    "stream": True,
    "max_tokens": 8,
    "temperature": 0,
}
KV_CACHE_MB = 256.0
PHASE = re.compile(r'"phase": "([a-z-]+)", "seconds": ([0-9.]+)')


class Rounds:
    """What each round measured, by name."""

    def __init__(self) -> None:
        self.values: dict[str, list[float]] = {}

    def add(self, name: str, value: float) -> None:
        self.values.setdefault(name, []).append(value)


def first_token(url: str) -> float:
    return asyncio.run(ask(url, BODY)).first


def server(rounds: Rounds, name: str, folder: Path) -> None:
    """One cold start of a server process: time to the first token, and memory when awake."""
    began = time.monotonic()
    command, url = (start_theirs if name == "vllm" else start_ours)(folder)
    try:
        first_token(url)
        rounds.add(name, time.monotonic() - began)
        rounds.add(f"{name} memory", command.tree.pss_mb() - KV_CACHE_MB)
        if name == "pod":
            for phase, seconds in PHASE.findall(command.log.read_text()):
                rounds.add(f"pod phase {phase}", float(seconds))
    finally:
        command.stop()


def woken(rounds: Rounds, running: platform.Platform) -> None:
    """One wake-up of a sleeping model by a request through the gateway."""
    wait_for(lambda: running.state(MODEL) == "asleep", f"{MODEL} asleep")
    rounds.add("woken", first_token(f"{running.url}/v1/chat/completions"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rounds = Rounds()
    with platform.running(window="6s") as running, tempfile.TemporaryDirectory() as name:
        first_token(f"{running.url}/v1/chat/completions")  # also waits for the preloaded parent
        for _ in range(options.rounds):
            woken(rounds, running)
            wait_for(lambda: running.state(MODEL) == "asleep", f"{MODEL} asleep")
            server(rounds, "vllm", Path(name))
            server(rounds, "pod", Path(name))
    measured = rounds.values
    figures = [
        Figure(name="vLLM's server, cold, to the first token", unit="s", values=tuple(measured["vllm"])),
        Figure(name="sleeping model through the gateway", unit="s", values=tuple(measured["woken"]), target="<= 5"),
        Figure(
            name="the same against vLLM's server",
            unit="x",
            values=ratios(measured["woken"], measured["vllm"]),
            target="<= 0.25",
        ),
        Figure(
            name="as a pod starts it, against vLLM's server",
            unit="x",
            values=ratios(measured["pod"], measured["vllm"]),
            target="<= 0.45",
        ),
        Figure(
            name="memory of the pod against vLLM's server, KV cache apart",
            unit="x",
            values=ratios(measured["pod memory"], measured["vllm memory"]),
            target="<= 0.6",
        ),
    ]
    figures += [
        Figure(name=name, unit="s", values=tuple(values))
        for name, values in measured.items()
        if name.startswith("pod phase")
    ]
    publish("models.cold_start", figures, {"model": MODEL, "rounds": options.rounds})


if __name__ == "__main__":
    main()
