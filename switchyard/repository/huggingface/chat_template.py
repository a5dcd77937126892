"""The chat template, rendered once for each of the conversations that it claims to take."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from switchyard.repository.huggingface.documents import FaultError, read_object, read_text, shown
from switchyard.repository.huggingface.sandbox import TEMPLATE_BYTES, BoundError, RaisedError, render
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
_USER = [{"role": "user", "content": _QUESTION}]
_SYSTEM = [{"role": "system", "content": "Be brief."}, *_USER]
_CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": {"a": 2}}}
_TOOL_RESULT = [
    *_USER,
    {"role": "assistant", "content": "", "tool_calls": [_CALL]},
    {"role": "tool", "name": "add", "tool_call_id": "call_1", "content": "4"},
]


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


def check_template(template: str, file: str, tokenizer: TokenizerFacts) -> Iterator[Fault]:
    """Yield why chats cannot be rendered: a user's message, and what else the template claims to take."""
    tools = _claims(template, "tools")
    for meaning, messages, given in (
        ("a user's message", _USER, None),
        ("a system's and a user's message", _SYSTEM, None),
        *((("a user's message with tools", _USER, [_TOOL]),) if tools else ()),
        *((("a tool's result", _TOOL_RESULT, [_TOOL]),) if tools and _claims(template, "tool_calls") else ()),
    ):
        values = {"messages": messages, "tools": given, "documents": None, "add_generation_prompt": True}
        try:
            text = render(template, {**tokenizer.special, **values})
        except RaisedError as err:
            # It may reject system messages or tools in words of its own, which clients are told with each request.
            if messages is _USER and given is None:
                yield _fault(f"{file} rejects {meaning} ({shown(str(err))}): correct the template.", file)
            continue
        except BoundError as err:
            yield _fault(f"{file} cannot be rendered within bounds for {meaning}: {err}. Correct the template.", file)
            return
        except Exception as err:
            yield _fault(f"{file} cannot be rendered for {meaning} ({_reason(err)}): correct the template.", file)
            return
        if messages is _USER and given is None and _QUESTION not in text:
            yield _fault(f"{file} leaves a user's words out ({shown(text)}): it has to write message['content'].", file)
            return


def _claims(template: str, word: str) -> bool:
    return word in template


def _reason(err: Exception) -> str:
    line = getattr(err, "lineno", None)
    return shown(str(err)) + (f", line {line}" if line else "")


def _fault(sentence: str, file: str) -> Fault:
    return Fault(code=FaultCode.CHAT_TEMPLATE, message=sentence, file=file)
