"""The node that runs its steps one after the other."""

from collections.abc import Sequence as Several
from time import perf_counter

import orjson

from switchyard.router.errors import GraphRequestError, StepUnreachableError
from switchyard.router.gjson import Condition
from switchyard.router.header_propagation import json_of
from switchyard.router.meter import NodeMeter
from switchyard.router.nodes.large_bodies import tested
from switchyard.router.steps.earlier import EarlierSteps
from switchyard.router.steps.predictions import instances
from switchyard.router.steps.request import GraphRequest
from switchyard.router.steps.response import StepResponse
from switchyard.router.steps.retry import UNAVAILABLE
from switchyard.router.steps.step import StepRunner


def unavailable(status: int, message: str) -> bytes:
    """Return the body on which conditions are tested after an unavailable step: an error as OpenAI's API shapes it."""
    error = {"message": message, "type": "unavailable", "param": None, "code": status}
    return orjson.dumps({"error": error})


def is_fallback(condition: Condition | None) -> bool:
    """Whether a step with this condition runs when the step before it is unavailable."""
    return condition is not None and condition.holds(unavailable(503, ""))


class Sequence:
    """Runs steps in order, each on the request body or the previous response; the node responds with the last response.

    Three rules go beyond KServe's router, so that a step can be the fallback of the one before it. A response in
    server-sent events ends the sequence, because no condition can be tested on it. After a 502, 503 or 504, or (as 503)
    no response, a condition is also tested on ``unavailable``. A response that ends the sequence keeps its status.
    """

    def __init__(self, name: str, runners: Several[StepRunner], meter: NodeMeter) -> None:
        self._name = name
        self._runners = runners
        self._meter = meter

    async def run(self, request: GraphRequest, body: bytes) -> StepResponse:
        """Return the response of the last step that ran.

        Raises:
            GraphRequestError: a step has no response, or a condition cannot be tested on the previous response.
        """
        began = perf_counter()
        response: StepResponse | None = None
        earlier = EarlierSteps(request.headers)
        try:
            for index, runner in enumerate(self._runners):
                step = runner.step
                if step.condition is not None and await self._ends(response, runner, step.condition):
                    break
                asked, given = request, body
                if response is not None:
                    # Also where the next step gets the request: it begins when this one has ended, as in KServe's
                    # router, and a response that is not read to its end costs its connection.
                    before = await response.read()
                    earlier.add(response, before)
                    if step.uses_response:
                        asked, given = request.with_body_of(response.headers), before
                if step.maps_predictions:
                    given = instances(given)
                response = await self._step(index, asked, given)
                if step.hard and not response.succeeded:
                    break
        except BaseException:  # a cancellation too: an open response would keep its step's connection busy
            if response is not None:
                response.close()
            raise
        if response is None:
            raise GraphRequestError(500, f"node {self._name} has no steps")
        earlier.say_in(response)
        self._meter.responded(perf_counter() - began)
        return response

    async def _step(self, index: int, request: GraphRequest, body: bytes) -> StepResponse:
        runner = self._runners[index]
        try:
            return await runner.run(request, body)
        except StepUnreachableError as err:
            following = self._runners[index + 1 : index + 2]
            if runner.step.hard or not following or not is_fallback(following[0].step.condition):
                raise
            return StepResponse(
                503, [(b"content-type", b"application/json")], unavailable(503, str(err)), source=runner.label
            )

    async def _ends(self, response: StepResponse | None, runner: StepRunner, condition: Condition) -> bool:
        """Whether the sequence ends before ``runner`` because its condition does not hold on the response so far."""
        if response is None:
            raise GraphRequestError(500, f"invalid response: there is none yet for the condition of {runner.label}")
        if response.succeeded and response.streams:  # reading it for the condition would end streaming
            return True
        text = json_of(await response.read(), response.headers)
        holds, is_json = await tested(text, lambda body: (condition.holds(body), body.is_json))
        if holds:
            return False
        # Also on a body of our own, because a proxy writes its errors in a shape that no graph can know.
        if response.status in UNAVAILABLE and condition.holds(unavailable(response.status, "")):
            return False
        if not is_json:
            raise GraphRequestError(
                500, f"invalid response: {response.source} gave no JSON, on which {runner.label} depends"
            )
        return True
