"""A step, ready to run: what it leads to, with its share of metrics and spans."""

import asyncio
from collections.abc import Awaitable
from time import perf_counter
from typing import Protocol

from switchyard.router.errors import GraphFailure
from switchyard.router.graph.spec import Step
from switchyard.router.meter import StepMeter
from switchyard.router.steps.request import Request
from switchyard.router.steps.response import Answer
from switchyard.telemetry.tracing import Tracer


class Target(Protocol):
    """What a step leads to: a service, or another node."""

    async def run(self, request: Request, body: bytes) -> Answer:
        """The answer, once its head is there.

        Raises:
            GraphFailure: there is none.
        """


class Arm:
    """One step of a node; ``label`` names both in messages."""

    __slots__ = ("_meter", "_span", "_target", "_tracer", "label", "step")

    def __init__(self, node: str, step: Step, name: str, target: Target, meter: StepMeter, tracer: Tracer) -> None:
        self.step = step
        self.label = f"step {name} of node {node}"
        self._span = f"step {node}/{name}"
        self._target = target
        self._meter = meter
        self._tracer = tracer

    def run(self, request: Request, body: bytes) -> Awaitable[Answer]:
        """Runs the step; gives its answer once the head is there.

        Raises:
            GraphFailure: there is none.
        """
        return self._traced(request, body) if self._tracer.enabled else self._counted(request, body)

    async def _counted(self, request: Request, body: bytes) -> Answer:
        began = perf_counter()
        try:
            answer = await self._target.run(request, body)
        except GraphFailure:
            self._meter.failed()
            raise
        except asyncio.CancelledError:
            self._meter.cancelled()
            raise
        self._meter.answered(answer.status, perf_counter() - began)
        return answer

    async def _traced(self, request: Request, body: bytes) -> Answer:
        span = self._tracer.start(self._span, request.traceparent)
        error: str | None = "cancelled"
        try:
            answer = await self._counted(request.under(span.traceparent), body)
            span.set("http.response.status_code", answer.status)
            error = f"status {answer.status}" if answer.status >= 500 else None
        except GraphFailure as err:
            error = str(err)
            raise
        finally:
            span.end(error)
        return answer
