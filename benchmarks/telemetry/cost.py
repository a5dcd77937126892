"""``python -m benchmarks.telemetry.cost``: what metrics, logs and traces add to the processor time of a chat.

All gateways run through all rounds, on one core; the model, the collector and the clients are on another. Each differs
from its neighbour in one feature: ``none`` has no telemetry, ``metrics`` are as shipped, the others add a log line for
each response, or traces of one request in a hundred or of all. What a feature adds is taken within its round. The same
for a predictor with a real model, whose requests are part of a trace that is recorded, or is not. A whole chat is what
its gateway and its predictor take together.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import uvloop

from benchmarks.load import Request, saturate
from benchmarks.models.predictor import MODEL, start_ours
from benchmarks.processes import Command
from benchmarks.report import Figure, publish
from benchmarks.tenancy.clients import chat
from benchmarks.tenancy.platform import Process, Starter

NONE, METRICS = "none", "metrics"
CLIENTS, TOKENS = 32, 32
_RATIO = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"}
# By name, what it is compared with, and what it may add.
COMPARED = {
    METRICS: (NONE, ""),
    "logs": (METRICS, ""),
    "traces of 1 %": (METRICS, "<= 3"),
    "traces of 100 %": (METRICS, "<= 25"),
}
_TRACEPARENT = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0"
_UNTRACED, _UNSAMPLED, _SAMPLED = "untraced", "not sampled", "sampled"
# By the name of a gateway, the predictor behind it; it, and both together, may add as much.
BEHIND = {"traces of 1 %": _UNSAMPLED, "traces of 100 %": _SAMPLED}
_CPU = "processor time per chat"
_LOAD_CORE, _GATEWAY_CORE = 0, 1


def gateways(starter: Starter, collector: Process) -> dict[str, Process]:
    """Start a gateway of each kind."""
    traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
    return {
        NONE: starter.gateway("gateway-none", module="benchmarks.telemetry.without_metrics"),
        METRICS: starter.gateway("gateway-metrics"),
        "logs": starter.gateway("gateway-logs", env={"LOG_LEVEL": "info", "LOG_REQUESTS": "true"}),
        "traces of 1 %": starter.gateway("gateway-ratio", env=traced | _RATIO),
        "traces of 100 %": starter.gateway("gateway-traced", env=traced),
    }


class Rounds:
    """The processor time of a chat, in milliseconds, by name and round."""

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = {}

    def measure(self, name: str, process: Process | Command, request: Request, clients: int, seconds: float) -> None:
        """Measure one of a round."""
        before = process.tree.cpu_ms()
        load = uvloop.run(saturate(request, clients, seconds))
        self._values.setdefault(name, []).append((process.tree.cpu_ms() - before) / load.answers)

    def of(self, name: str) -> tuple[float, ...]:
        return tuple(self._values[name])

    def added(self, name: str, to: str) -> tuple[float, ...]:
        """Return percents of ``to``, round by round."""
        return percents(self.of(name), self.of(to))


def percents(values: Sequence[float], to: Sequence[float]) -> tuple[float, ...]:
    """Return how much more each value is than that of ``to`` at its place."""
    return tuple(100 * (one / other - 1) for one, other in zip(values, to, strict=True))


def of_gateway(rounds: int, seconds: float) -> Rounds:
    """Measure the gateways."""
    core = {"model": _LOAD_CORE, "collector": _LOAD_CORE, "gateway": _GATEWAY_CORE}
    measured = Rounds()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        starter = Starter(stack, Path(folder), core)
        model, collector = starter.model("m"), starter.collector()
        collector.wait()
        started = gateways(starter, collector)
        for process in (model, *started.values()):
            process.wait()
        wire = chat("", "m")
        requests = {name: Request(host="127.0.0.1", port=one.port, wire=wire) for name, one in started.items()}
        for request in requests.values():
            uvloop.run(saturate(request, CLIENTS, 1.0))  # warm-up
        for number in range(rounds):
            order = list(started) if number % 2 == 0 else list(reversed(started))
            for name in order:
                measured.measure(name, started[name], requests[name], CLIENTS, seconds)
    return measured


def of_predictor(rounds: int, seconds: float) -> Rounds:
    """Measure a predictor without a collector, and one with, whose requests are sampled or not."""
    measured = Rounds()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        collector = Starter(stack, Path(folder)).collector()
        collector.wait()
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        kinds: dict[str, tuple[Command, Request]] = {}
        for name, own in (("plain", {}), ("traced", env)):
            (Path(folder) / name).mkdir()
            command, url = start_ours(Path(folder) / name, env=own)
            stack.callback(command.stop)
            port = int(url.split(":")[2].split("/")[0])
            flags = ("",) if name == "plain" else ("0", "1")
            for label, flag in zip((_UNTRACED,) if name == "plain" else (_UNSAMPLED, _SAMPLED), flags, strict=True):
                kinds[label] = command, Request(host="127.0.0.1", port=port, wire=_wire(flag))
        for _, request in kinds.values():
            uvloop.run(saturate(request, 4, 2.0))
        for number in range(rounds):
            for name in list(kinds) if number % 2 == 0 else list(reversed(kinds)):
                command, request = kinds[name]
                measured.measure(name, command, request, 4, seconds)
    return measured


def gateway_figures(gateway: Rounds) -> Iterator[Figure]:
    yield Figure(name=f"gateway, {NONE}: {_CPU}", unit="ms", values=gateway.of(NONE))
    for name, (to, target) in COMPARED.items():
        yield Figure(name=f"gateway, {name}: added to {_CPU}", unit="%", values=gateway.added(name, to), target=target)


def predictor_figures(predictor: Rounds) -> Iterator[Figure]:
    yield Figure(name=f"predictor, {_UNTRACED}: {_CPU} of {TOKENS} tokens", unit="ms", values=predictor.of(_UNTRACED))
    for gateway, name in BEHIND.items():
        _, target = COMPARED[gateway]
        values = predictor.added(name, _UNTRACED)
        yield Figure(name=f"predictor, {name}: added to {_CPU}", unit="%", values=values, target=target)


def chat_figures(gateway: Rounds, predictor: Rounds) -> Iterator[Figure]:
    """Yield what a whole chat takes more; rounds of both are put together in their order."""
    plain = [sum(both) for both in zip(gateway.of(METRICS), predictor.of(_UNTRACED), strict=True)]
    for name, behind in BEHIND.items():
        _, target = COMPARED[name]
        traced = [sum(both) for both in zip(gateway.of(name), predictor.of(behind), strict=True)]
        values = percents(traced, plain)
        yield Figure(name=f"whole chat, {name}: added to {_CPU}", unit="%", values=values, target=target)


def _wire(flag: str) -> bytes:
    wire = chat("", MODEL, tokens=TOKENS).replace(b"POST /v1/", b"POST /openai/v1/", 1)
    return wire.replace(b"\r\n", f"\r\n{_TRACEPARENT}{flag}\r\n".encode(), 1) if flag else wire


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    options = parser.parse_args()
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {_LOAD_CORE})
    gateway = of_gateway(options.rounds, options.seconds)
    os.sched_setaffinity(0, cores)
    predictor = of_predictor(options.rounds, 2 * options.seconds)
    figures = [*gateway_figures(gateway), *predictor_figures(predictor), *chat_figures(gateway, predictor)]
    publish("telemetry.cost", figures, {"rounds": options.rounds, "seconds": options.seconds})


if __name__ == "__main__":
    main()
