"""Tokens are counted as vLLM's engine gives them out."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from predictors.llm.usage import count_reasoning, count_tokens
from switchyard.http.asgi.usage import Counted, counted

CUMULATIVE, DELTA, FINAL_ONLY = 0, 1, 2
Output = Sequence[tuple[int, int]]


@dataclass
class Engine:
    """Gives outputs as vLLM does: for each choice its index and a number of tokens."""

    outputs: Sequence[Output] = ()
    ended: bool = False

    async def generate(self, prompt: Any, sampling_params: Any, request_id: str) -> AsyncGenerator[Any]:
        try:
            for output in self.outputs:
                choices = [SimpleNamespace(index=index, token_ids=range(tokens)) for index, tokens in output]
                yield SimpleNamespace(prompt_token_ids=range(5), num_cached_tokens=4, outputs=choices)
        finally:
            self.ended = True

    async def encode(self, prompt: Any) -> AsyncGenerator[Any]:
        yield SimpleNamespace(prompt_token_ids=range(7), num_cached_tokens=None)


def counting(engine: Engine) -> Counted:
    count_tokens(engine)
    counts = Counted()
    counted.set(counts)
    return counts


async def run(engine: Engine, kind: int) -> None:
    async for _ in engine.generate("a", SimpleNamespace(output_kind=SimpleNamespace(value=kind)), "1"):
        pass


@pytest.mark.parametrize(
    ("kind", "outputs"),
    [
        (DELTA, [[(0, 1)], [(1, 2)], [(0, 3), (1, 1)]]),
        (FINAL_ONLY, [[(0, 4), (1, 3)]]),
        (CUMULATIVE, [[(0, 1)], [(1, 2)], [(0, 4), (1, 3)]]),
    ],
)
async def test_tokens_of_all_choices_add_up_and_the_prompt_counts_once(kind: int, outputs: Sequence[Output]) -> None:
    engine = Engine(outputs)
    counts = counting(engine)
    await run(engine, kind)
    assert (counts.prompt_tokens, counts.cached_tokens, counts.completion_tokens) == (5, 4, 7)


async def test_a_client_whose_tokens_are_counted_cannot_have_them_in_fewer_events() -> None:
    for asked, kept in ((True, None), (False, 1000)):
        engine = Engine([[(0, 1)]])
        counting(engine)
        counted.set(Counted() if asked else None)
        params = SimpleNamespace(output_kind=SimpleNamespace(value=DELTA), stream_interval=1000)
        async for _ in engine.generate("a", params, "1"):
            pass
        assert params.stream_interval == kept


async def test_prompts_of_one_request_add_up() -> None:
    engine = Engine([[(0, 2)]])
    counts = counting(engine)
    await run(engine, FINAL_ONLY)
    await run(engine, FINAL_ONLY)
    async for _ in engine.encode("a"):
        pass
    assert (counts.prompt_tokens, counts.cached_tokens, counts.completion_tokens) == (17, 8, 4)


async def test_a_stream_that_is_closed_has_counted_so_far_and_ends_the_engines_request() -> None:
    engine = Engine([[(0, 1)], [(0, 1)], [(0, 1)]])
    counts = counting(engine)
    stream = engine.generate("a", SimpleNamespace(output_kind=SimpleNamespace(value=DELTA)), "1")
    await anext(stream)
    await anext(stream)
    await stream.aclose()
    assert counts.completion_tokens == 2
    assert engine.ended


async def test_nothing_stands_between_when_nobody_asks() -> None:
    engine = Engine([[(0, 1)]])
    generate = engine.generate
    counting(engine)
    counted.set(None)
    stream = engine.generate("a", SimpleNamespace(output_kind=SimpleNamespace(value=DELTA)), "1")
    assert stream.ag_code is generate.__func__.__code__  # type: ignore[attr-defined]
    await stream.aclose()


class Parser:
    """As vLLM's, of which each choice has one: counts the tokens below ten."""

    def count_reasoning_tokens(self, token_ids: Sequence[int]) -> int:
        return sum(token < 10 for token in token_ids)


class Manager:
    """Makes a parser for each way of serving, or has one for all."""

    def __init__(self, *parsers: type[Parser] | None) -> None:
        self._parsers = list(parsers)

    def get_parser(self, **names: str) -> type[Parser] | None:
        return self._parsers.pop(0)


def test_reasoning_is_counted_once_however_often_vllm_asks() -> None:
    class Made(Parser):
        pass

    manager, counts = Manager(Made, None, Made), Counted()
    count_reasoning(manager)
    parser, nothing, again = (manager.get_parser(reasoning_parser_name="r1") for _ in range(3))
    assert (nothing, again) == (None, parser)
    assert parser is not None
    counted.set(counts)
    first, second = parser(), parser()
    assert [first.count_reasoning_tokens(range(size)) for size in (3, 3, 20)] == [3, 3, 10]
    assert second.count_reasoning_tokens([1, 99]) == 1
    assert counts.reasoning_tokens == 11
    counted.set(None)
    assert parser().count_reasoning_tokens([1]) == 1
    assert counts.reasoning_tokens == 11
