"""Counts the tokens of a request where the engine gives them out, whichever route asked."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

from switchyard.http.asgi.usage import Counted, counted

_REPORTED = "_switchyard_reported"  # what a parser, which each choice has its own of, has counted so far
_DELTA = 1  # vLLM's RequestOutputKind: each output has the tokens since the last, else all of them


def count_tokens(engine: Any) -> None:
    """Let vLLM's ``generate`` and ``encode`` add to the request's ``counted``, where somebody asked for it."""
    generate, encode = engine.generate, engine.encode

    def counted_generate(prompt: Any, sampling_params: Any, *args: Any, **kwargs: Any) -> AsyncGenerator[Any]:
        counts = counted.get()
        if counts is not None:
            # A client could have all text in one event, and cut the stream before anybody knows how much it was.
            sampling_params.stream_interval = None
        outputs: AsyncGenerator[Any] = generate(prompt, sampling_params, *args, **kwargs)
        if counts is None:
            return outputs
        return _generated(outputs, counts, deltas=sampling_params.output_kind.value == _DELTA)

    def counted_encode(*args: Any, **kwargs: Any) -> AsyncGenerator[Any]:
        outputs: AsyncGenerator[Any] = encode(*args, **kwargs)
        counts = counted.get()
        return outputs if counts is None else _encoded(outputs, counts)

    engine.generate, engine.encode = counted_generate, counted_encode


def count_reasoning(manager: Any) -> None:
    """Let each parser of vLLM's ``ParserManager`` add the tokens of reasoning that it counts to the ``counted`` too.

    vLLM asks them for its own usage, whoever wants that: for all tokens of a choice so far, once or with each chunk.
    """
    get_parser, known = manager.get_parser, set[type]()

    def get_counting_parser(*args: Any, **kwargs: Any) -> Any:
        parser = get_parser(*args, **kwargs)
        if parser is not None and parser not in known:
            known.add(parser)
            parser.count_reasoning_tokens = _counted_reasoning(parser.count_reasoning_tokens)
        return parser

    manager.get_parser = get_counting_parser


def _counted_reasoning(count: Callable[[Any, Any], int]) -> Callable[[Any, Any], int]:
    def count_reasoning_tokens(parser: Any, token_ids: Any) -> int:
        tokens = count(parser, token_ids)
        counts = counted.get()
        if counts is not None:
            counts.reasoning_tokens += max(tokens - getattr(parser, _REPORTED, 0), 0)
            setattr(parser, _REPORTED, tokens)
        return tokens

    return count_reasoning_tokens


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
