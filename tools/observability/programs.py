"""The Go programs that take logs and traces, at fixed versions: this file is the one place to change them."""

from functools import partial
from pathlib import Path

from tools.programs import Program

REPOSITORY = Path(__file__).resolve().parents[2]
KEPT = REPOSITORY / "build" / "observability"

_program = partial(Program, kept=KEPT)

# Its components, and their versions, are those of the go.mod beside its main.go.
COLLECTOR = _program(name="otelcol", sources=Path(__file__).parent / "collector")
# The last release whose all-in-one is one small process: that of version 2 takes twice the memory.
JAEGER = _program(name="jaeger", package="./cmd/all-in-one", module="github.com/jaegertracing/jaeger@v1.76.0")
# A store of logs that takes OTLP, for tests: nothing of the platform needs it.
VICTORIA_LOGS = _program(
    name="victoria-logs", package="./app/victoria-logs", module="github.com/VictoriaMetrics/VictoriaLogs@v1.52.1"
)

ALL = (COLLECTOR, JAEGER, VICTORIA_LOGS)
