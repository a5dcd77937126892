"""The bound of texts that are tokenized, on a tokenizer with a renderer like vLLM's."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer as RustTokenizer
from tokenizers import models, normalizers

from predictors.llm.bounds.texts import (
    BYTES_PER_TOKEN,
    TEXT_BYTES,
    TurnOfRequest,
    bound_texts,
    longest_text,
)
from switchyard.http.asgi import Receive, Scope, Send

ROOT = Path(__file__).parents[4]


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


class Normalizing(Renderer):
    """With a tokenizer of the tokenizers library, as transformers wraps it."""

    def __init__(self, normalizer: normalizers.Normalizer) -> None:
        super().__init__()
        backend = RustTokenizer(models.BPE({}, []))
        backend.normalizer = normalizer
        self.tokenizer.backend_tokenizer = backend  # type: ignore[attr-defined]


@pytest.mark.parametrize("way", ["__call__", "encode"])
@pytest.mark.parametrize(("copies", "passes"), [(1, True), (2, False), (64, False)])
def test_a_text_that_a_normalizer_makes_too_long_is_not_tokenized(way: str, copies: int, passes: bool) -> None:
    renderer = Normalizing(normalizers.Replace("a", "b" * copies))
    bound_texts(renderer, 2048, ClientError)
    text = "a" * (LONGEST // 2 + 1)
    if passes:
        assert getattr(renderer.tokenizer, way)(text)
        return
    with pytest.raises(ClientError, match=f"your prompt is normalized to .* at most {LONGEST} are tokenized") as err:
        getattr(renderer.tokenizer, way)([text])
    assert err.value.parameter == "input_text"


def test_texts_with_lone_surrogates_and_short_ones_are_left_to_the_tokenizer() -> None:
    renderer = Normalizing(normalizers.Replace("a", "b" * 64))
    bound_texts(renderer, 2048, ClientError)
    assert renderer.tokenizer("a" * (LONGEST // 64)) == "called"
    assert renderer.tokenizer("\ud800" * (LONGEST // 4)) == "called"


WORST = """
import resource
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from tests.predictors.llm.bounds.test_texts import LONGEST, ClientError, Renderer, bound_texts

alphabet = pre_tokenizers.ByteLevel.alphabet()
backend = Tokenizer(models.BPE({letter: number for number, letter in enumerate(alphabet)}, []))
backend.normalizer = normalizers.Replace("a", "b" * 16)
splits = [pre_tokenizers.Split(Regex("."), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False)]
backend.pre_tokenizer = pre_tokenizers.Sequence(splits)
renderer = Renderer()
renderer.tokenizer.backend_tokenizer = backend
type(renderer.tokenizer).__call__ = lambda self, text: len(self.backend_tokenizer.encode(text))
bound_texts(renderer, 2048, ClientError)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert renderer.tokenizer("a" * (LONGEST // 16)) == LONGEST
try:
    renderer.tokenizer("a" * LONGEST)
except ClientError:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_the_worst_tokenizer_that_the_judge_lets_pass_takes_little_memory_for_any_text() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WORST],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    # A token of each byte takes 350: without the bound on what is normalized it would be 16 times as much.
    assert int(done.stdout) * 1024 < 1000 * LONGEST


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
