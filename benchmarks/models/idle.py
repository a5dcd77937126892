"""``python -m benchmarks.models.idle``: what the platform costs while every model sleeps, and how fast it comes up."""

import time

from benchmarks import platform
from benchmarks.processes import wait_for
from benchmarks.report import Figure, publish

ROUNDS = 2
SETTLE_SECONDS = 5.0


def main() -> None:
    ready: list[float] = []
    memory: dict[bool, list[float]] = {False: [], True: []}
    cpu: list[float] = []
    for _ in range(ROUNDS):
        for preload in (False, True):
            with platform.running(preload=preload) as running:
                ready.append(running.ready_seconds)
                if preload:
                    wait_for(lambda one=running: platform.preloaded(one), "the preloaded parent")  # type: ignore[misc]
                before = running.supervisor.cpu_ms()
                time.sleep(SETTLE_SECONDS)
                cpu.append((running.supervisor.cpu_ms() - before) / SETTLE_SECONDS)
                memory[preload].append(running.supervisor.pss_mb())
    publish(
        "models.idle",
        [
            Figure(name="up to gateway ready", unit="s", values=tuple(ready), target="<= 3"),
            Figure(name="without the preloaded parent", unit="MB PSS", values=tuple(memory[False]), target="<= 200"),
            Figure(name="with it", unit="MB PSS", values=tuple(memory[True]), target="<= 900"),
            Figure(name="processor time while idle", unit="ms/s", values=tuple(cpu)),
        ],
        {"rounds": ROUNDS},
    )


if __name__ == "__main__":
    main()
