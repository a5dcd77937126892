"""The nodes that choose one step: Switch by condition, Splitter by weight."""

import secrets
from collections.abc import Callable, Sequence
from time import perf_counter

from switchyard.http.json_body import not_json
from switchyard.http.json_cost import check_json
from switchyard.router.errors import GraphRequestError, NoMatchError
from switchyard.router.gjson import Body
from switchyard.router.header_propagation import json_of
from switchyard.router.meter import NodeMeter
from switchyard.router.nodes.large_bodies import tested
from switchyard.router.steps.request import GraphRequest
from switchyard.router.steps.response import StepResponse
from switchyard.router.steps.step import StepRunner


def percent() -> int:
    """Draw a number from 0 to 99, uniformly."""
    return secrets.randbelow(100)


class Switch:
    """Runs the first step whose condition matches the request body; a step without a condition never runs."""

    def __init__(self, name: str, runners: Sequence[StepRunner], meter: NodeMeter) -> None:
        self._name = name
        self._cases = [(runner.step.condition.holds, runner) for runner in runners if runner.step.condition is not None]
        self._meter = meter

    async def run(self, request: GraphRequest, body: bytes) -> StepResponse:
        """Return the response of the step that matches.

        Raises:
            NoMatchError: no step matches.
            GraphRequestError: that step has no response.
            ApiError: the body costs too much to look into.
        """
        began = perf_counter()
        text = json_of(body, request.headers)
        await check_json(text)
        chosen = await tested(text, self._chosen)
        response = await chosen.run(request, body)
        self._meter.responded(perf_counter() - began)
        return response

    def _chosen(self, body: Body) -> StepRunner:
        for holds, runner in self._cases:
            if holds(body):
                return runner
        self._meter.unmatched()
        if body.is_json:
            raise NoMatchError(f"None of the routes matched with the switch condition of node {self._name}")
        why = not_json(body.data, "it cannot be parsed").message
        raise NoMatchError(f"node {self._name} cannot choose a step: {why}")


class Splitter:
    """Runs one step, drawn by the steps' weights in percent."""

    def __init__(
        self, name: str, runners: Sequence[StepRunner], meter: NodeMeter, draw: Callable[[], int] = percent
    ) -> None:
        self._name = name
        self._runners = runners
        self._meter = meter
        self._draw = draw

    async def run(self, request: GraphRequest, body: bytes) -> StepResponse:
        """Return the response of the step that was drawn.

        Raises:
            GraphRequestError: the weights add up to less than 100 and no step was drawn, or the step has no response.
        """
        began = perf_counter()
        response = await self._chosen().run(request, body)
        self._meter.responded(perf_counter() - began)
        return response

    def _chosen(self) -> StepRunner:
        point = self._draw()
        end = 0
        for runner in self._runners:
            end += runner.step.weight or 0
            if point < end:
                return runner
        # Only with weights below 100. KServe's router runs such a graph, ours does not start where requests reach one.
        self._meter.unmatched()
        raise GraphRequestError(
            500, f"no route was selected by the splitter {self._name}, whose weights add up to {end}"
        )
