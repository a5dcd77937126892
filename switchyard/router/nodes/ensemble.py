"""The node that runs all of its steps at once and joins their answers."""

import asyncio
from collections.abc import Sequence
from time import perf_counter

import orjson

from switchyard.router.errors import GraphFailure
from switchyard.router.gjson import is_valid_json
from switchyard.router.meter import NodeMeter
from switchyard.router.steps.request import Request
from switchyard.router.steps.response import Answer
from switchyard.router.steps.step import Arm

_JSON = (b"content-type", b"application/json")


class Ensemble:
    """Runs every step, at most ``parallel`` at once; each must answer with a JSON object.

    The answer is an object of theirs by step name, or by index where there is no name. The first Hard step in order
    that fails decides the answer alone; a step without a JSON object fails the node.
    """

    def __init__(self, arms: Sequence[Arm], meter: NodeMeter, parallel: int) -> None:
        self._arms = arms
        self._meter = meter
        self._parallel = parallel
        self._keys = [orjson.dumps(arm.step.name or str(index)) for index, arm in enumerate(arms)]

    async def run(self, request: Request, body: bytes) -> Answer:
        """The joined answer.

        Raises:
            GraphFailure: a step has no answer, or one that is no JSON object.
        """
        began = perf_counter()
        gate = asyncio.Semaphore(self._parallel)

        async def one(arm: Arm) -> tuple[Answer, bytes]:
            async with gate:
                answer = await arm.run(request, body)
                return answer, _object(await answer.read(), arm)

        tasks = [asyncio.create_task(one(arm)) for arm in self._arms]
        try:
            decided = await self._decided(tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._meter.answered(perf_counter() - began)
        return decided

    async def _decided(self, tasks: list[asyncio.Task[tuple[Answer, bytes]]]) -> Answer:
        pending: set[asyncio.Task[tuple[Answer, bytes]]] = set(tasks)
        seen = 0
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # a failure ends the node, whatever the others may still say
            while seen < len(tasks) and tasks[seen].done():
                answer, body = tasks[seen].result()
                if self._arms[seen].step.hard and not answer.succeeded:
                    return Answer(answer.status, [_JSON], body)
                seen += 1
        parts = [b"%b:%b" % (key, task.result()[1]) for key, task in zip(self._keys, tasks, strict=True)]
        return Answer(200, [_JSON], b"{%b}" % b",".join(parts))


def _object(body: bytes, arm: Arm) -> bytes:
    text = body.strip(b" \t\r\n")
    if not is_valid_json(body) or not (text.startswith(b"{") or text == b"null"):
        raise GraphFailure(500, f"{arm.label} did not answer with a JSON object, which an Ensemble joins")
    return text
