"""Counts the tokens of a request where the engine gives them out, whichever route asked."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from switchyard.http.asgi.usage import Counted, counted

_DELTA = 1  # vLLM's RequestOutputKind: each output has the tokens since the last, else all of them


def count_tokens(engine: Any) -> None:
    """Let vLLM's ``generate`` and ``encode`` add to the request's ``counted``, where somebody asked for it."""
    generate, encode = engine.generate, engine.encode

    def counted_generate(prompt: Any, sampling_params: Any, *args: Any, **kwargs: Any) -> AsyncGenerator[Any]:
        outputs: AsyncGenerator[Any] = generate(prompt, sampling_params, *args, **kwargs)
        counts = counted.get()
        if counts is None:
            return outputs
        return _generated(outputs, counts, deltas=sampling_params.output_kind.value == _DELTA)

    def counted_encode(*args: Any, **kwargs: Any) -> AsyncGenerator[Any]:
        outputs: AsyncGenerator[Any] = encode(*args, **kwargs)
        counts = counted.get()
        return outputs if counts is None else _encoded(outputs, counts)

    engine.generate, engine.encode = counted_generate, counted_encode


async def _generated(outputs: AsyncGenerator[Any], counts: Counted, *, deltas: bool) -> AsyncGenerator[Any]:
    first, seen = True, dict[int, int]()
    # The engine ends a request whose generator is closed.
    async with aclosing(outputs):
        async for output in outputs:
            if first:
                _add_prompt(output, counts)
                first = False
            for choice in output.outputs:
                tokens = len(choice.token_ids)
                counts.completion_tokens += tokens - (0 if deltas else seen.get(choice.index, 0))
                seen[choice.index] = tokens
            yield output


async def _encoded(outputs: AsyncGenerator[Any], counts: Counted) -> AsyncGenerator[Any]:
    first = True
    async with aclosing(outputs):
        async for output in outputs:
            if first:
                _add_prompt(output, counts)
                first = False
            yield output


def _add_prompt(output: Any, counts: Counted) -> None:
    counts.prompt_tokens += len(output.prompt_token_ids or ())
    counts.cached_tokens += output.num_cached_tokens or 0
