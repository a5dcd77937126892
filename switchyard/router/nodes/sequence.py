"""The node that runs its steps one after the other."""

from collections.abc import Sequence as Several
from time import perf_counter

import orjson

from switchyard.http.headers import Header
from switchyard.router.errors import GraphFailure, Unreachable
from switchyard.router.gjson import Body, Condition
from switchyard.router.meter import NodeMeter
from switchyard.router.steps.predictions import instances
from switchyard.router.steps.request import Request
from switchyard.router.steps.response import Answer
from switchyard.router.steps.retry import UNAVAILABLE
from switchyard.router.steps.step import Arm


def unavailable(status: int, message: str) -> bytes:
    """What a condition sees of a step that could not answer, in OpenAI's shape of an error."""
    error = {"message": message, "type": "unavailable", "param": None, "code": status}
    return orjson.dumps({"error": error})


def stands_in(condition: Condition | None) -> bool:
    """Whether a step with this condition runs when the one before it is unavailable."""
    return condition is not None and condition.holds(unavailable(503, ""))


class Sequence:
    """Runs steps in order, each with the request's body or the answer before it; the last one's answer is the node's.

    Beyond KServe's router, so that a step can stand in for the one before it: an answer in server-sent events ends the
    sequence, because no condition can hold on it; a condition is also tried on ``unavailable`` when the step before
    gave 502, 503 or 504, or (as 503) no answer at all; and an answer that ends the sequence keeps its own status.
    """

    def __init__(self, name: str, arms: Several[Arm], meter: NodeMeter) -> None:
        self._name = name
        self._arms = arms
        self._meter = meter

    async def run(self, request: Request, body: bytes) -> Answer:
        """The answer of the last step that ran.

        Raises:
            GraphFailure: a step has no answer, or a condition cannot be tested on the one before it.
        """
        began = perf_counter()
        answer: Answer | None = None
        notes: list[Header] = []
        try:
            for index, arm in enumerate(self._arms):
                step = arm.step
                if step.condition is not None and await self._ends(answer, arm, step.condition):
                    break
                given = body
                if answer is not None:
                    before = await answer.read()
                    notes += answer.notes
                    given = before if step.uses_response else body
                if step.maps_predictions:
                    given = instances(given)
                answer = await self._step(index, request, given)
                if step.hard and not answer.succeeded:
                    break
        except BaseException:
            if answer is not None:
                answer.close()
            raise
        if answer is None:
            raise GraphFailure(500, f"node {self._name} has no steps")
        answer.add(notes)
        self._meter.answered(perf_counter() - began)
        return answer

    async def _step(self, index: int, request: Request, body: bytes) -> Answer:
        arm = self._arms[index]
        try:
            return await arm.run(request, body)
        except Unreachable as err:
            following = self._arms[index + 1 : index + 2]
            if arm.step.hard or not following or not stands_in(following[0].step.condition):
                raise
            return Answer(503, [(b"content-type", b"application/json")], unavailable(503, str(err)), source=arm.label)

    async def _ends(self, answer: Answer | None, arm: Arm, condition: Condition) -> bool:
        """Whether the sequence ends before ``arm`` because its condition does not hold on the answer so far."""
        if answer is None:
            raise GraphFailure(500, f"invalid response: there is none yet for the condition of {arm.label}")
        if answer.succeeded and answer.streams:
            return True
        body = Body(await answer.read())
        if condition.holds(body):
            return False
        if answer.status in UNAVAILABLE and condition.holds(unavailable(answer.status, "")):
            return False
        if not body.is_json:
            raise GraphFailure(500, f"invalid response: {answer.source} gave no JSON, on which {arm.label} depends")
        return True
