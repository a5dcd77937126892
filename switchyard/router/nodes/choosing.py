"""The nodes that choose one step: Switch by the request, Splitter by chance."""

import secrets
from collections.abc import Callable, Sequence
from time import perf_counter

from switchyard.router.errors import GraphFailure, NoMatch
from switchyard.router.gjson import Body
from switchyard.router.meter import NodeMeter
from switchyard.router.steps.request import Request
from switchyard.router.steps.response import Answer
from switchyard.router.steps.step import Arm


def percent() -> int:
    """A number from 0 to 99, each as likely."""
    return secrets.randbelow(100)


class Switch:
    """Runs the first step whose condition holds on the request's body; a step without a condition is never chosen."""

    def __init__(self, name: str, arms: Sequence[Arm], meter: NodeMeter) -> None:
        self._name = name
        self._cases = [(arm.step.condition.holds, arm) for arm in arms if arm.step.condition is not None]
        self._meter = meter

    async def run(self, request: Request, body: bytes) -> Answer:
        """The answer of the step that matches.

        Raises:
            NoMatch: none does.
            GraphFailure: that step has no answer.
        """
        began = perf_counter()
        answer = await self._chosen(body).run(request, body)
        self._meter.answered(perf_counter() - began)
        return answer

    def _chosen(self, body: bytes) -> Arm:
        shared = Body(body)
        for holds, arm in self._cases:
            if holds(shared):
                return arm
        self._meter.unmatched()
        if shared.is_json:
            raise NoMatch(404, f"None of the routes matched with the switch condition of node {self._name}")
        raise NoMatch(404, f"node {self._name} cannot choose a step: the request's body is not JSON")


class Splitter:
    """Runs one step, each as likely as its weight says, in percent."""

    def __init__(self, name: str, arms: Sequence[Arm], meter: NodeMeter, draw: Callable[[], int] = percent) -> None:
        self._name = name
        self._arms = arms
        self._meter = meter
        self._draw = draw

    async def run(self, request: Request, body: bytes) -> Answer:
        """The answer of the step that was drawn.

        Raises:
            GraphFailure: the weights add up to less than 100 and none was drawn, or the step has no answer.
        """
        began = perf_counter()
        answer = await self._chosen().run(request, body)
        self._meter.answered(perf_counter() - began)
        return answer

    def _chosen(self) -> Arm:
        point = self._draw()
        end = 0
        for arm in self._arms:
            end += arm.step.weight or 0
            if point < end:
                return arm
        self._meter.unmatched()
        raise GraphFailure(500, f"no route was selected by the splitter {self._name}, whose weights add up to {end}")
