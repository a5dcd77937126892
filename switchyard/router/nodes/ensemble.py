"""The node that runs all its steps concurrently and joins their responses."""

import asyncio
from collections.abc import Sequence
from time import perf_counter

import orjson

from switchyard.router.errors import GraphRequestError
from switchyard.router.gjson import is_valid_json
from switchyard.router.meter import NodeMeter
from switchyard.router.steps.earlier import is_asked, say_all, usage_of_step
from switchyard.router.steps.request import GraphRequest
from switchyard.router.steps.response import StepResponse
from switchyard.router.steps.step import StepRunner

_JSON = (b"content-type", b"application/json")


class Ensemble:
    """Runs every step, at most ``parallel`` at once; each must respond with a JSON object.

    The response is an object of those objects, keyed by step name, or by index for a step without a name. When Hard
    steps fail, the first of them in order decides the response; a step without a JSON object fails the node.
    """

    def __init__(self, runners: Sequence[StepRunner], meter: NodeMeter, parallel: int) -> None:
        self._runners = runners
        self._meter = meter
        self._parallel = parallel
        self._keys = [orjson.dumps(runner.step.name or str(index)) for index, runner in enumerate(runners)]

    async def run(self, request: GraphRequest, body: bytes) -> StepResponse:
        """Return the joined response.

        Raises:
            GraphRequestError: a step has no response, or one that is not a JSON object.
        """
        began = perf_counter()
        slots = asyncio.Semaphore(self._parallel)

        async def one(runner: StepRunner) -> tuple[StepResponse, bytes]:
            # Until the body is there, because a step works for that long.
            async with slots:
                response = await runner.run(request, body)
                return response, _object(await response.read(), runner)

        tasks = [asyncio.create_task(one(runner)) for runner in self._runners]
        try:
            decided = await self._decided(tasks)
        finally:
            for task in tasks:
                task.cancel()
            # Waited for, so that no step outlives its request and every cancellation is counted.
            await asyncio.gather(*tasks, return_exceptions=True)
        if decided.succeeded and is_asked(request.headers):
            say_all(decided, [usage_of_step(*task.result()) for task in tasks])
        self._meter.responded(perf_counter() - began)
        return decided

    async def _decided(self, tasks: list[asyncio.Task[tuple[StepResponse, bytes]]]) -> StepResponse:
        pending: set[asyncio.Task[tuple[StepResponse, bytes]]] = set(tasks)
        seen = 0
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # a failed step fails the node, whatever the others return
            # In the steps' order, not in the order of arrival: which Hard step decides must not depend on timing.
            while seen < len(tasks) and tasks[seen].done():
                response, body = tasks[seen].result()
                if self._runners[seen].step.hard and not response.succeeded:
                    return StepResponse(response.status, [_JSON], body)
                seen += 1
        parts = [b"%b:%b" % (key, task.result()[1]) for key, task in zip(self._keys, tasks, strict=True)]
        return StepResponse(200, [_JSON], b"{%b}" % b",".join(parts))


def _object(body: bytes, runner: StepRunner) -> bytes:
    text = body.strip(b" \t\r\n")
    # With null: Go's decoder takes it for an object, so KServe's router joins it too.
    if not is_valid_json(body) or not (text.startswith(b"{") or text == b"null"):
        raise GraphRequestError(500, f"{runner.label} did not respond with a JSON object, which an Ensemble joins")
    return text
