"""Renders the template of a stranger: jinja2's sandbox as transformers sets it up, with a budget.

Each line of the compiled template that runs spends of it, and each element that an operation reads or makes; the clock
does not, so that a verdict is the same on a busy machine. What is too much is known before it is done.
"""

import json
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from types import FrameType
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

TEMPLATE_BYTES = 1024 * 1024  # the longest of today have 20 KB
STEPS = 50_000  # a chat of three messages takes some hundred
_MESSAGES, _CHARACTERS = 8, 32 * 1024  # for so many more there are as many steps again
_CHARACTERS_PER_STEP = 100  # 5 million in all, if nothing else is done; an object takes as long as so many
_FILENAME = "<template>"  # what jinja2 calls the code of a template that is no file
_SIZED = (str, bytes, range)
_AT_ONCE = ("length", "count", "first", "default", "d")  # filters that look at no element but the first
_COLLECTIONS = (list, tuple, set, frozenset)


class BoundError(TemplateError):
    """The template takes more steps or memory than a chat of a few lines can need."""


class RaisedError(TemplateError):
    """The template called ``raise_exception``: the conversation is none that the model is for."""


class BoundedTemplate:
    """A compiled template, of which each rendering has a budget of its own; threads may render it at once.

    Raises:
        BoundError: it nests too deeply to be compiled.
        TemplateError: it cannot be compiled.
    """

    def __init__(self, template: str) -> None:
        self._budget = _Budget()
        self.environment = _Environment(self._budget)
        with _errors():
            self._compiled = self.environment.from_string(template)

    def render(self, values: Mapping[str, Any]) -> str:
        """Render as ``transformers.apply_chat_template`` does.

        Raises:
            RaisedError: the template rejects ``values``.
            BoundError: it takes more than its budget.
            TemplateError: it cannot be rendered.
        """
        self._budget.begin(_step_budget(values))
        with _errors(), _spent_by_lines(self._budget):
            return self._compiled.render(values)


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except TemplateError:
        raise
    except (RecursionError, MemoryError):
        raise BoundError("it calls or nests itself too deeply") from None
    except Exception as err:  # the mistakes of a template are any of Python's exceptions
        raise TemplateError(f"{type(err).__name__}: {err}") from None


def render(template: str, values: Mapping[str, Any]) -> str:
    """Compile and render ``template``; raises as ``BoundedTemplate`` does."""
    return BoundedTemplate(template).render(values)


def _step_budget(values: Mapping[str, Any]) -> int:
    """Return the steps for rendering ``values``, which are a conversation, tools and the like."""
    messages, characters, waiting = 0, 0, list(values.values())
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            characters += len(part)
        elif isinstance(part, dict):
            messages += "role" in part
            waiting += part.values()
        elif isinstance(part, list | tuple):
            waiting += part
    return STEPS * (1 + messages // _MESSAGES + characters // _CHARACTERS)


class _Budget(threading.local):
    _steps = _left = 0

    def begin(self, steps: int) -> None:
        self._steps = self._left = steps

    def spend(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise BoundError(f"it takes more than {self._steps} steps, as a loop without end does")

    def spend_on(self, *arguments: object) -> None:
        """Spend what a function of ``arguments`` may do at most: no function of jinja2 makes more elements than the
        product of the two largest, as the replacement of each character by a text does; numbers count as many."""
        factors = sorted(self._factor(value) for value in arguments)[-2:]
        self.spend((factors[0] * factors[-1] if len(factors) > 1 else sum(factors)) // _CHARACTERS_PER_STEP)

    def _factor(self, value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            return max(1, abs(value))
        return self.size(value)

    def size(self, value: object) -> int:
        """Return the characters of ``value`` and of what is in it, counted as often as they are there."""
        if isinstance(value, str):
            self.spend(len(value) // _CHARACTERS_PER_STEP)
            return len(value) or 1
        total, waiting, most = 0, [value], (self._left + 1) * _CHARACTERS_PER_STEP
        while waiting and total <= most:
            part = waiting.pop()
            total += _CHARACTERS_PER_STEP
            if isinstance(part, _SIZED):
                total += len(part)
            elif isinstance(part, Mapping):
                waiting += [*part.keys(), *part.values()]
            elif isinstance(part, _COLLECTIONS):
                waiting += part
        self.spend(total // _CHARACTERS_PER_STEP)
        return total


@contextmanager
def _spent_by_lines(budget: _Budget) -> Iterator[None]:
    def trace(frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        if frame.f_code.co_filename != _FILENAME:
            return None
        budget.spend(1)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


class _Concatenation(CodeGenerator):
    """Compiles ``a ~ b`` to a call that can be bounded."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        self.write("environment.concat((")
        for part in node.nodes:
            self.write("str(environment.finalize(")
            self.visit(part, frame)
            self.write(")), ")
        self.write("))")


class _Environment(ImmutableSandboxedEnvironment):
    code_generator_class = _Concatenation
    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self, budget: _Budget) -> None:
        def finalize(value: object) -> object:  # before an expression is written
            budget.size(value)
            return value

        extensions = (_Generation, loopcontrols)
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=extensions, finalize=finalize)
        self._budget = budget
        self.filters["tojson"] = _to_json
        self.filters |= {
            name: _bounded(name, function, budget) for name, function in self.filters.items() if name not in _AT_ONCE
        }
        self.globals |= {"raise_exception": _raise, "strftime_now": _now}
        del self.globals["lipsum"]  # text by the megabyte
        # Of blocks, macros and the whole; jinja2's compiled code takes it from here.
        self.concat = self._concat  # type: ignore[method-assign]

    def _concat(self, parts: Iterable[str]) -> str:
        texts = []
        for part in parts:
            self._budget.spend(len(part) // _CHARACTERS_PER_STEP)
            texts.append(part)
        return "".join(texts)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" and isinstance(left, int) and isinstance(right, int):
            self._budget.spend(left.bit_length() * abs(right) // _CHARACTERS_PER_STEP)
        elif operator == "%" and isinstance(left, str):
            self._budget.spend_on(left, right, _widest(left))
        elif not isinstance(left, int | float) or not isinstance(right, int | float):
            self._budget.spend_on(left, right)
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, function: Any, *arguments: Any, **named: Any) -> Any:
        method = getattr(function, "__wrapped__", function)  # the sandbox wraps str.format
        owner = getattr(method, "__self__", None)
        if isinstance(owner, str | bytes | dict | list | tuple):
            width = _widest(owner) if isinstance(owner, str) and "format" in method.__name__ else 1
            self._budget.spend_on(owner, width, *arguments, *named.values())
        return super().call(context, function, *arguments, **named)


def _bounded(name: str, function: Callable[..., Any], budget: _Budget) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        width = _widest(str(arguments[0])) if name == "format" else 1
        budget.spend_on(width, *arguments, *named.values())
        return function(*arguments, **named)

    if hasattr(function, "jinja_pass_arg"):  # whether it takes the environment, or a context, first
        call.jinja_pass_arg = function.jinja_pass_arg  # type: ignore[attr-defined]
    return call


def _widest(form: str) -> int:
    """Return the largest number in ``form``, which may be the width of a field."""
    digits = "".join(character if character.isdecimal() else " " for character in form).split()
    return max((int(number[:9]) for number in digits), default=1)


class _Generation(Extension):
    """``{% generation %}``, with which templates mark the assistant's own words: rendered as what it holds."""

    tags = {"generation"}  # noqa: RUF012 - the library's attribute

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise(message: object) -> None:
    raise RaisedError(str(message))


def _now(form: str) -> str:
    return datetime.now().strftime(form[:100])
