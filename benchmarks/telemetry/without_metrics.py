"""``python -m benchmarks.telemetry.without_metrics …``: the gateway, but what it counts is counted nowhere."""

from prometheus_client import Counter, Gauge

from switchyard.gateway.__main__ import main
from switchyard.telemetry.histogram import OneThreadHistogram


def _nothing(*_: object, **__: object) -> None:
    return


if __name__ == "__main__":
    for family, method in ((Counter, "inc"), (Gauge, "inc"), (Gauge, "dec"), (OneThreadHistogram, "observe")):
        setattr(family, method, _nothing)
    main()
