"""How long a text may be that is tokenized, and whose turn it is.

A tokenizer takes a microsecond or more for a byte, in the one thread that vLLM has for all requests: 4 MB of text keep
everybody else waiting for 12 s. vLLM looks at a text's length only where it also limits its tokens, which
``/tokenize`` and truncated prompts do not ask for.
"""

import queue
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from switchyard.http.asgi import App, Receive, Scope, Send

# English has 4 bytes in a token, code with much indentation 8, Chinese 3 to 6. Longer tokens are rare in any text,
# except for blanks: of vocabularies with tokens of 128 of them the longest token is no bound.
BYTES_PER_TOKEN = 16
TEXT_BYTES = 64 * 1024  # of short contexts: to count or truncate longer texts; a tenth of a second
# Bytes that a normalizer makes of one, if the judge let it pass: 16, and sentencepiece's up to 64 of a character. Each
# of them takes up to 350 bytes of memory as a token, so that the bound is on what is normalized, too.
GROWTH = 64
_PART = 4096  # characters

_request: ContextVar[object] = ContextVar("request", default=None)


def longest_text(max_model_len: int) -> int:
    """Return how many bytes of UTF-8 a text may have for a model with a context of ``max_model_len`` tokens."""
    return max(TEXT_BYTES, BYTES_PER_TOKEN * max_model_len)


def bound_texts(renderer: Any, max_model_len: int, error: Callable[..., Exception]) -> None:
    """Let vLLM's renderer tokenize no longer text, and requests take turns with theirs.

    All that is tokenized goes through its tokenizer, by whichever route it came. ``error`` makes vLLM's error for a
    client from a sentence and the ``parameter`` at fault.
    """
    if renderer.tokenizer is not None:
        renderer.tokenizer.__class__ = _bounded(type(renderer.tokenizer), max_model_len, error)
    _take_turns(renderer._executor)


class TurnOfRequest:
    """ASGI middleware around vLLM's application: notes for the renderer which request a text is of."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _request.set(object())
        await self._app(scope, receive, send)


class _Turns(queue.Queue[Any]):
    """Work in turns by request: of thousands of texts that one queues at once, the next request waits for one."""

    def _init(self, maxsize: int) -> None:
        self._waiting: OrderedDict[object, deque[Any]] = OrderedDict()
        self._ends = deque[None]()

    def _qsize(self) -> int:
        return len(self._waiting) + len(self._ends)

    def _put(self, item: Any) -> None:
        if item is None:  # a pool's sign for a thread to end, after all work
            self._ends.append(item)
        else:
            self._waiting.setdefault(_request.get(), deque()).append(item)

    def _get(self) -> Any:
        if not self._waiting:
            return self._ends.popleft()
        request, items = self._waiting.popitem(last=False)
        item = items.popleft()
        if items:
            self._waiting[request] = items
        return item


def _take_turns(executor: Any) -> None:
    """Replace the pool within vLLM's executor, to which its functions are bound, and those that replace it later."""

    def replace() -> None:
        executor._inner.shutdown(wait=False)
        executor._inner = pool = ThreadPoolExecutor(executor._max_workers)
        pool._work_queue = _Turns()  # type: ignore[assignment]

    executor.replace_inner = replace
    replace()


def _bounded(tokenizer: type[Any], max_model_len: int, error: Callable[..., Exception]) -> type[Any]:
    longest = longest_text(max_model_len)

    def check(normalizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = list(_texts((*args[:2], *(kwargs.get(name) for name in ("text", "text_pair")))))
        size, contains = sum(len(text.encode("utf-8", "surrogatepass")) for text in given), "contains"
        if normalizer is not None and longest >= size > longest // GROWTH:
            size, contains = _normalized_size(normalizer, given, longest), "is normalized to"
        if size > longest:
            raise error(
                f"This model's maximum context length is {max_model_len} tokens. However, your prompt {contains} "
                f"{size} bytes of text, and at most {longest} are tokenized. "
                "Please reduce the length of the input prompt.",
                parameter="input_text",
            )

    class BoundedTokenizer(tokenizer):  # type: ignore[misc]
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            check(_normalizer(self), args, kwargs)
            with _panics(error):
                return super().__call__(*args, **kwargs)

        def encode(self, *args: Any, **kwargs: Any) -> Any:
            check(_normalizer(self), args, kwargs)
            with _panics(error):
                return super().encode(*args, **kwargs)

    return BoundedTokenizer


@contextmanager
def _panics(error: Callable[..., Exception]) -> Iterator[None]:
    """Turn a panic of the tokenizers library, which is no Exception and would end the server, into a client's error.

    Oniguruma gives up after ten million tries of a regular expression, and the library panics.
    """
    try:
        yield
    except BaseException as err:
        if isinstance(err, Exception) or type(err).__name__ != "PanicException":
            raise
        raise error(f"This model's tokenizer cannot tokenize this text: {err}", parameter="input_text") from None


def _normalizer(tokenizer: Any) -> Any:
    """Return what rewrites texts before they are split, None if nothing does."""
    return getattr(getattr(tokenizer, "backend_tokenizer", None), "normalizer", None)


def _normalized_size(normalizer: Any, texts: list[str], most: int) -> int:
    """Return the bytes of what ``normalizer`` makes of ``texts``, or as many of them as are more than ``most``.

    It is tried on small parts, each of which takes little memory whatever it grows to.
    """
    size = 0
    for text in texts:
        for start in range(0, len(text), _PART):
            part = text[start : start + _PART].encode("utf-8", "replace").decode()
            size += len(normalizer.normalize_str(part).encode())
            if size > most:
                return size
    return size


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)
