"""The chat template, rendered for each of the conversations that it claims to take."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from switchyard.chat_rendering import TEMPLATE_BYTES, BoundError, RaisedError, render
from switchyard.repository.huggingface.documents import FaultError, read_object, read_text, shown
from switchyard.repository.huggingface.tokenizer import TOKENIZER_CONFIG, TokenizerFacts
from switchyard.repository.verdict import Fault, FaultCode

TEMPLATE, PROCESSOR_TEMPLATE = "chat_template.jinja", "chat_template.json"
_DEFAULT = "default"
_QUESTION = "What is 2 plus 2?"
_TOOL = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add two numbers.",
        "parameters": {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]},
    },
}
_USER: list[dict[str, Any]] = [{"role": "user", "content": _QUESTION}]
_PARTS: list[dict[str, Any]] = [{"role": "user", "content": [{"type": "text", "text": _QUESTION}]}]
_SYSTEM: list[dict[str, Any]] = [{"role": "system", "content": "Be brief."}, *_USER]
_CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": {"a": 2}}}
_TOOL_RESULT: list[dict[str, Any]] = [
    *_USER,
    {"role": "assistant", "content": "", "tool_calls": [_CALL]},
    {"role": "tool", "name": "add", "tool_call_id": "call_1", "content": "4"},
]
_LONG = "It is 4, as 2 and 2 more are.\n\n" * 100
_TURNS = (1, 2, 3, 8)


def read_template(folder: Path, tokenizer: TokenizerFacts) -> tuple[str, str]:
    """Return the template that chats are rendered by and the file that it is in, empty without one.

    Raises:
        FaultError: it cannot be read.
    """
    if (folder / TEMPLATE).exists():
        return read_text(folder, TEMPLATE, TEMPLATE_BYTES, FaultCode.CHAT_TEMPLATE), TEMPLATE
    if (folder / PROCESSOR_TEMPLATE).exists():
        values: Mapping[str, Any] = read_object(folder, PROCESSOR_TEMPLATE, FaultCode.CHAT_TEMPLATE, TEMPLATE_BYTES)
        file = PROCESSOR_TEMPLATE
    else:
        values, file = tokenizer.config, TOKENIZER_CONFIG
    template = values.get("chat_template")
    if isinstance(template, list):  # named ones, for tools and the like
        named = {one.get("name"): one.get("template") for one in template if isinstance(one, dict)}
        template = named.get(_DEFAULT, "")
    if template is not None and not isinstance(template, str):
        raise FaultError(FaultCode.CHAT_TEMPLATE, f"{file} has a chat_template that is no text: write one.", file)
    return template or "", file if template else ""


@dataclass(frozen=True, slots=True)
class _Conversation:
    meaning: str
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]] | None = None


def check_template(template: str, file: str, tokenizer: TokenizerFacts, notes: list[str]) -> Iterator[Fault]:
    """Yield why no chat can be rendered; what only some requests cannot have becomes a note."""
    try:
        text, parts = _render_user(template, tokenizer)
        for conversation in _others(template, parts=parts):
            notes += [note for note in _note(template, file, tokenizer, conversation) if note not in notes]
    except BoundError as err:
        yield _fault(f"{file} cannot be rendered within bounds: {err}; correct the template.", file)
    except RaisedError as err:
        yield _fault(f"{file} rejects a user's message ({shown(str(err))}): correct the template.", file)
    except TemplateError as err:
        yield _fault(f"{file} cannot be rendered for a user's message ({_reason(err)}): correct the template.", file)
    else:
        if _QUESTION not in text:
            yield _fault(f"{file} leaves a user's words out ({shown(text)}): it has to write message['content'].", file)


def _render_user(template: str, tokenizer: TokenizerFacts) -> tuple[str, bool]:
    """Render a user's message with its words as text or, where that fails, as parts, one of which vLLM chooses.

    Returns:
        What was rendered, and whether of parts.
    """
    try:
        text = _render(template, tokenizer, _Conversation("", _USER))
    except BoundError:
        raise
    except TemplateError:
        with suppress(TemplateError):
            return _render(template, tokenizer, _Conversation("", _PARTS)), True
        raise
    if _QUESTION in text:
        return text, False
    return _render(template, tokenizer, _Conversation("", _PARTS)), True


def _note(template: str, file: str, tokenizer: TokenizerFacts, conversation: _Conversation) -> Iterator[str]:
    try:
        _render(template, tokenizer, conversation)
    except BoundError:
        raise
    except RaisedError as err:
        yield f"{file} rejects {conversation.meaning}: {shown(str(err))}"
    except TemplateError as err:
        yield f"{file} cannot be rendered for {conversation.meaning}, which is an error: {_reason(err)}"


def _others(template: str, *, parts: bool) -> Iterator[_Conversation]:
    yield _Conversation("a system's message", _SYSTEM)
    if "tools" in template:
        yield _Conversation("tools", _USER, [_TOOL])
    if "tools" in template and "tool_calls" in template:
        yield _Conversation("a tool's result", _TOOL_RESULT, [_TOOL])
    tools = [_TOOL] if "tools" in template else None
    for turns in _TURNS:
        yield _Conversation("a conversation of several turns", _long(turns, parts=parts))
        yield _Conversation("a system's message", [*_SYSTEM[:1], *_long(turns, parts=parts)], tools)


def _long(turns: int, *, parts: bool) -> list[dict[str, Any]]:
    """Return a conversation whose last message is the user's, with contents as long as people and models write them."""
    content = [{"type": "text", "text": _LONG}] if parts else _LONG
    said = [{"role": role, "content": content} for _ in range(turns) for role in ("user", "assistant")]
    return said[:-1]


def _render(template: str, tokenizer: TokenizerFacts, conversation: _Conversation) -> str:
    values = {"messages": conversation.messages, "tools": conversation.tools, "documents": None}
    return render(template, {**tokenizer.special, **values, "add_generation_prompt": True})


def _reason(err: TemplateError) -> str:
    line = getattr(err, "lineno", None)
    return shown(str(err)) + (f", line {line}" if line else "")


def _fault(sentence: str, file: str) -> Fault:
    return Fault(code=FaultCode.CHAT_TEMPLATE, message=sentence, file=file)
