"""A step, ready to run: its target, with metrics and spans."""

import asyncio
from collections.abc import Awaitable
from time import perf_counter
from typing import Protocol

from switchyard.router.errors import GraphRequestError
from switchyard.router.graph.spec import Step
from switchyard.router.meter import StepMeter
from switchyard.router.steps.request import GraphRequest
from switchyard.router.steps.response import StepResponse
from switchyard.telemetry import attributes
from switchyard.telemetry.tracing import CLIENT, INTERNAL, Tracer


class Target(Protocol):
    """The target of a step: a service, or another node."""

    async def run(self, request: GraphRequest, body: bytes) -> StepResponse:
        """Return the response once its headers are complete.

        Raises:
            GraphRequestError: there is no response.
        """


class StepRunner:
    """Runs one step of a node; ``label`` names both in error messages."""

    __slots__ = ("_meter", "_span", "_target", "_tracer", "label", "step")

    def __init__(self, node: str, step: Step, name: str, target: Target, meter: StepMeter, tracer: Tracer) -> None:
        self.step = step
        self.label = f"step {name} of node {node}"
        self._span = f"step {node}/{name}"
        self._target = target
        self._meter = meter
        self._tracer = tracer

    def run(self, request: GraphRequest, body: bytes) -> Awaitable[StepResponse]:
        """Run the step; return its response once the headers are complete.

        Raises:
            GraphRequestError: there is no response.
        """
        # Not a coroutine itself, which would cost every step one more frame.
        return self._traced(request, body) if self._tracer.enabled else self._counted(request, body)

    async def _counted(self, request: GraphRequest, body: bytes) -> StepResponse:
        began = perf_counter()
        try:
            response = await self._target.run(request, body)
        except GraphRequestError:
            self._meter.failed()
            raise
        except asyncio.CancelledError:
            self._meter.cancelled()
            raise
        self._meter.responded(response.status, perf_counter() - began)
        return response

    async def _traced(self, request: GraphRequest, body: bytes) -> StepResponse:
        span = self._tracer.start(self._span, request.traceparent, kind=CLIENT if self.step.url else INTERNAL)
        error: str | None = None
        try:
            response = await self._counted(request.with_traceparent(span.traceparent), body)
            error = f"status {response.status}" if response.status >= 500 else None
            if span.sampled or error:
                span.set(attributes.STATUS, response.status)
        except GraphRequestError as err:
            error = err.code if err.status >= 500 else None
            raise
        finally:
            span.end(error)
        return response
