"""V2 texts sent to a small application that stands where vLLM's stands."""

import asyncio
import json

import pytest

from predictors.llm.v2.completion import GenerationError, InvalidRequestError, TextModel
from switchyard.http.asgi import Receive, Scope, Send

FAILURES = {"too long": (400, InvalidRequestError), "fatal": (500, GenerationError)}


class Engine:
    """Fails for the prompts in ``FAILURES`` once all others generate, which they do until their client disconnects."""

    def __init__(self) -> None:
        self.generating = 0
        self.ended = 0
        self.all_generate = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = json.loads((await receive())["body"])
        prompt = body.get("prompt", body.get("input"))
        if prompt not in FAILURES:
            self.generating += 1
            if self.generating == 3:
                self.all_generate.set()
            while (await receive())["type"] != "http.disconnect":
                pass
            self.ended += 1
            return
        await self.all_generate.wait()
        await send({"type": "http.response.start", "status": FAILURES[prompt][0], "headers": []})
        await send({"type": "http.response.body", "body": json.dumps({"error": {"message": prompt}}).encode()})


@pytest.mark.parametrize("prompt", FAILURES)
@pytest.mark.parametrize("method", ["complete", "embed"])
async def test_when_one_prompt_fails_the_others_end_and_the_caller_gets_its_error(method: str, prompt: str) -> None:
    engine = Engine()
    texts, prompts = TextModel(engine, "m", chat=False), ["a", "b", prompt, "c"]
    with pytest.raises(FAILURES[prompt][1], match=prompt):
        async with asyncio.timeout(10):
            await (texts.complete(prompts, {}, {}) if method == "complete" else texts.embed(prompts, {}))
    async with asyncio.timeout(10):
        while engine.ended < 3:
            await asyncio.sleep(0)
