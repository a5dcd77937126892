"""What vLLM takes for granted in a request's fields, or reads as JSON once more: it would be a 500 there."""

from collections.abc import Iterator, Mapping
from typing import Any

from switchyard.http.api_errors import ApiError
from switchyard.http.json_cost import check_json

_CHAT = b"/chat/completions"
# Arguments of the functions that render a chat template: the request's own, and no variables of a template.
_RENDERING = frozenset(("self", "messages", "conversation", "conversations", "tokenizer", "model_config"))


def check_fields(payload: Mapping[str, Any], path: bytes) -> None:
    """Check the tools of a chat that names one of them, and variables for its template.

    Raises:
        ApiError: they are not what the engine takes them for.
    """
    variables = payload.get("chat_template_kwargs")
    for name in variables if isinstance(variables, dict) else ():
        if name in _RENDERING:
            at = f"chat_template_kwargs.{name}"
            raise ApiError("invalid_value", f"{at} is no variable of a template; leave it out", param=at)
    if path.endswith(_CHAT) and isinstance(payload.get("tool_choice"), dict) and "tools" in payload:
        _check_named(payload["tools"])


async def check_texts(payload: Mapping[str, Any]) -> None:
    """Check the texts of a request that are JSON themselves, as ``check_json`` does bodies.

    Raises:
        ApiError: one has too many parts, or is nested too deeply.
    """
    for at, text in _arguments(payload):
        try:
            await check_json(text.encode("utf-8", "surrogatepass"))
        except ApiError as err:
            raise ApiError(err.code, err.message.replace("the body", at, 1), param=at) from err


def has_texts(payload: Mapping[str, Any]) -> bool:
    """Return whether a request, or its outline, has texts that are JSON themselves."""
    return next(_arguments(payload), None) is not None


def _check_named(tools: object) -> None:
    for index, tool in enumerate(tools if isinstance(tools, list) else ()):
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            at = f"tools[{index}]"
            message = (
                f'{at} must be {{"type": "function", "function": {{"name": "…"}}}}, as tool_choice names a function'
            )
            raise ApiError("invalid_value", message, param=at)


def _arguments(payload: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield place and text of the arguments of calls that a conversation holds."""
    for name in ("messages", "input"):
        items = payload.get(name)
        for index, item in enumerate(items if isinstance(items, list) else ()):
            if isinstance(item, dict):
                yield from _of_item(item, f"{name}[{index}]")


def _of_item(item: Mapping[str, Any], at: str) -> Iterator[tuple[str, str]]:
    calls = item.get("tool_calls")
    holders = [(at, item), (f"{at}.function_call", item.get("function_call"))]
    for index, call in enumerate(calls if isinstance(calls, list) else ()):
        function = call.get("function") if isinstance(call, dict) else None
        holders.append((f"{at}.tool_calls[{index}].function", function))
    for place, holder in holders:
        text = holder.get("arguments") if isinstance(holder, dict) else None
        if isinstance(text, str):
            yield f"{place}.arguments", text
