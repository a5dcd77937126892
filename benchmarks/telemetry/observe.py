"""``python -m benchmarks.telemetry.observe``: how fast `switchyard up --observe` is, and its memory."""

import argparse
import json
import time
import urllib.request

import psutil

from benchmarks.platform import Platform, running
from benchmarks.processes import Tree, wait_for
from benchmarks.report import Figure, publish
from switchyard.local.observability.deployments import NAMES

START_SECONDS, MEMORY_MB = 10.0, 350.0  # what they may take together


def ready_after(platform: Platform, name: str) -> float:
    """Seconds from the supervisor's own start until a program was ready."""
    wait_for(lambda: platform.row(name)["state"] == "ready", f"{name} is ready", 60)
    began: float = psutil.Process(platform.supervisor.pid).create_time()
    return time.time() - float(platform.row(name)["seconds"]) - began


def ask(platform: Platform, model: str) -> None:
    body = {"model": model, "max_tokens": 4, "messages": [{"role": "user", "content": "Hello"}]}
    request = urllib.request.Request(
        f"{platform.url}/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=300) as response:
        response.read()


def measured(calls: int, seconds: float) -> tuple[float, dict[str, float]]:
    """Start it all; return the seconds until the last is ready, and the memory of each after ``calls`` and a pause."""
    with running("--observe", window="600s") as platform:
        ready = max(ready_after(platform, name) for name in NAMES)
        for _ in range(calls):
            ask(platform, "chat-fast")
        time.sleep(seconds)
        return ready, {name: Tree(int(platform.row(name)["pid"])).pss_mb() for name in NAMES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=200, help="chats, each with a trace, before memory is read")
    parser.add_argument("--seconds", type=float, default=60.0, help="of scrapes after them")
    options = parser.parse_args()
    rounds = [measured(options.calls, options.seconds) for _ in range(options.rounds)]
    starts = tuple(ready for ready, _ in rounds)
    sums = tuple(sum(memory.values()) for _, memory in rounds)
    figures = [
        Figure(name="until all are ready", unit="s", values=starts, target=f"<= {START_SECONDS:.0f}"),
        Figure(name="memory of all", unit="MB", values=sums, target=f"<= {MEMORY_MB:.0f}"),
        *(Figure(name=name, unit="MB", values=tuple(memory[name] for _, memory in rounds)) for name in NAMES),
    ]
    setting = {"rounds": options.rounds, "calls": options.calls, "seconds": options.seconds}
    publish("telemetry.observe", figures, setting)


if __name__ == "__main__":
    main()
