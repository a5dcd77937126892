"""The bound of texts that are tokenized, on a tokenizer with a renderer like vLLM's."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from predictors.llm.bounds.texts import (
    BYTES_PER_TOKEN,
    TEXT_BYTES,
    TurnOfRequest,
    bound_texts,
    longest_text,
)
from switchyard.http.asgi import Receive, Scope, Send


class ClientError(Exception):
    def __init__(self, message: str, *, parameter: str) -> None:
        super().__init__(message)
        self.parameter = parameter


class Tokenizer:
    def __call__(self, text: object, text_pair: object = None, **options: object) -> str:
        return "called"

    def encode(self, text: object, text_pair: object = None, **options: object) -> str:
        return "encoded"


class Executor:
    """As vLLM's ``_SwappableExecutor``."""

    def __init__(self) -> None:
        self._max_workers = 1
        self._inner = ThreadPoolExecutor(1)

    def submit(self, work: Callable[..., Any], /, *args: Any) -> Future[Any]:
        return self._inner.submit(work, *args)

    def replace_inner(self) -> None:
        raise AssertionError("it would forget the turns")


class Renderer:
    def __init__(self) -> None:
        self.tokenizer = Tokenizer()
        self._executor = Executor()


LONGEST = longest_text(2048)
LONG = "x" * (LONGEST + 1)
HALF = "x" * (LONGEST // 2 + 1)


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ((LONG,), {}),
        (("\U0001f600" * (LONGEST // 4 + 1),), {}),
        ((HALF, HALF), {}),
        ((HALF,), {"text_pair": HALF}),
        (([HALF, HALF],), {}),
        ((), {"text": [[HALF, HALF]]}),
    ],
    ids=["a text", "bytes, not characters", "a pair", "a named pair", "several", "pairs"],
)
@pytest.mark.parametrize("way", ["__call__", "encode"])
def test_a_text_beyond_the_bound_is_not_tokenized_by_any_way(
    way: str, given: tuple[Any, ...], options: dict[str, Any]
) -> None:
    renderer = Renderer()
    bound_texts(renderer, 2048, ClientError)
    with pytest.raises(ClientError, match=f"context length is 2048 .* at most {LONGEST} are tokenized") as err:
        getattr(renderer.tokenizer, way)(*given, **options)
    assert err.value.parameter == "input_text"


def test_a_text_at_the_bound_is_tokenized() -> None:
    renderer = Renderer()
    bound_texts(renderer, 2048, ClientError)
    assert (renderer.tokenizer(LONG[1:], truncation=True), renderer.tokenizer.encode("x")) == ("called", "encoded")


class PanicException(BaseException):
    """As a library in Rust raises it, whose class cannot be imported."""


@pytest.mark.parametrize("way", ["__call__", "encode"])
def test_a_panic_of_the_tokenizer_is_the_client_s_error(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def panic(*arguments: object, **options: object) -> None:
        raise PanicException("retry-limit-in-match over")

    monkeypatch.setattr(Tokenizer, way, panic)
    renderer = Renderer()
    bound_texts(renderer, 2048, ClientError)
    with pytest.raises(ClientError, match="cannot tokenize this text: retry-limit"):
        getattr(renderer.tokenizer, way)("aaaa")


def test_the_bound_grows_with_the_context() -> None:
    assert [longest_text(tokens) for tokens in (1, 4096, 8192)] == [
        TEXT_BYTES,
        TEXT_BYTES,
        8192 * BYTES_PER_TOKEN,
    ]


@pytest.mark.parametrize("replaced", [False, True], ids=["the pool", "one that replaces it"])
async def test_the_texts_of_a_request_take_turns_with_those_of_another(replaced: bool) -> None:
    renderer, order, begun, go = Renderer(), list[str](), threading.Event(), threading.Event()
    bound_texts(renderer, 2048, ClientError)
    if replaced:
        renderer._executor.replace_inner()

    def first() -> None:
        begun.set()
        go.wait(30)

    held = renderer._executor.submit(first)
    begun.wait(30)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        work = [renderer._executor.submit(order.append, scope["path"]) for _ in range(scope["texts"])]
        await asyncio.gather(*map(asyncio.wrap_future, work))

    request = TurnOfRequest(app)
    scopes = [{"path": path, "texts": texts} for path, texts in (("batch", 4), ("one", 1), ("two", 2))]
    asked = [asyncio.ensure_future(request(scope, None, None)) for scope in scopes]  # type: ignore[arg-type]
    await asyncio.sleep(0)  # all have queued their texts
    renderer._executor._inner.shutdown(wait=False)  # what is queued is still done
    go.set()
    await asyncio.gather(*asked, asyncio.wrap_future(held))
    assert order == ["batch", "one", "two", "batch", "two", "batch", "batch"]
