"""What a log record says without what it quotes: a library's message, or an exception's, may hold a client's words."""

import linecache
import logging
import traceback as tracebacks
from collections.abc import Iterator

_MOST_CAUSES = 5  # of a chain of exceptions


def message(record: logging.LogRecord) -> str:
    """Return the message of a ``record`` with numbers, and in place of its other arguments their types.

    A message that was put together before it was logged is replaced by the place that logged it.
    """
    text = record.msg
    if isinstance(text, str) and record.args:
        try:
            return text % _arguments(record)
        except (TypeError, ValueError, KeyError):
            return text
    if isinstance(text, str) and text in "".join(linecache.getlines(record.pathname)):
        return text
    return f"({type(text).__name__} of {record.module}:{record.lineno})"


def traceback(error: BaseException) -> str:
    """Return the traceback of an ``error`` and its causes, with the types of exceptions and without their messages."""
    return "".join(_parts(error)).rstrip("\n")


def _arguments(record: logging.LogRecord) -> object:
    if isinstance(record.args, dict):
        return {key: _shown(value) for key, value in record.args.items()}
    return tuple(_shown(value) for value in record.args or ())


def _shown(value: object) -> object:
    return value if isinstance(value, (bool, int, float)) or value is None else _Type(type(value).__name__)


class _Type(str):
    """A type's name in angle brackets, for %s and %r."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"<{super().__str__()}>"

    __repr__ = __str__


def _parts(error: BaseException) -> Iterator[str]:
    seen: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and len(seen) < _MOST_CAUSES and one not in seen:
        seen.append(one)
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    for one in reversed(seen):
        yield "Traceback (most recent call last):\n"
        yield from tracebacks.format_tb(one.__traceback__)
        yield f"{type(one).__qualname__}\n"
