"""What pydantic and vLLM say is wrong with a request, as sentences for the person who sent it."""

import re
from collections.abc import Sequence
from typing import Any

import orjson

from switchyard.http.api_errors import ApiError

_MOST_PLACES = 3  # in one sentence
_LONGEST_VALUE = 40  # characters of a client's own value, repeated to it
_LONGEST_MESSAGE = 1000
# Parts of a place that pydantic adds for the kinds of value that it tried; all others of its own have capitals or
# punctuation.
_KINDS = frozenset(("str", "int", "float", "bool", "bytes", "list", "dict", "tuple", "set", "none", "union"))
_FIELD = re.compile(r"[a-z_][a-z0-9_]*")
_DISCRIMINATORS = ("role", "type")
# One fault in the text of a ``pydantic.ValidationError``: its place, its message and its type.
_IN_TEXT = re.compile(r"^(\S+)\n  ([^\n]+?) \[type=([a-z_]+)", re.MULTILINE)
# What vLLM adds to its own sentences for programs; ``param`` says the same.
_PARAMETER = re.compile(r"\s*\(parameter=.*\)\s*$", re.DOTALL)
_TOO_LONG = "This model's maximum context length is "  # vLLM's sentence, and that of `predictors.llm.bounds`
# The field of the prompt by the end of a route's path; vLLM names a variable of its own.
_PROMPT_FIELDS = (
    (("/chat/completions", "/messages", "/count_tokens"), "messages"),
    (("/responses", "/embeddings", "/pooling", "/classify"), "input"),
    (("/completions",), "prompt"),
)
_WORDS = (
    ("a valid dictionary or object to extract fields from", "a JSON object"),
    ("a valid dictionary", "a JSON object"),
    ("a valid list", "a list"),
    ("a valid string", "a string"),
    ("a valid boolean", "true or false"),
    ("a valid integer", "a whole number"),
    ("a valid number", "a number"),
)


def of_faults(faults: Sequence[Any]) -> ApiError:
    """Return the error for the faults that pydantic found in a request (``ValidationError.errors()``).

    Where a value may be of several kinds it lists what is wrong for each of them. The client meant a kind whose
    discriminating fields fit, of those one with the fewest faults, and the deepest of its faults, most likely.
    """
    rows = [fault for fault in faults if isinstance(fault, dict)]
    if not rows:
        return ApiError("invalid_value", _cut("; ".join(map(str, faults)) or "the request is not valid"))
    if unparsed := next((row for row in rows if row.get("type") == "json_invalid"), None):
        return ApiError("invalid_json", f"the body is not JSON: {(unparsed.get('ctx') or {}).get('error', 'invalid')}")
    # KServe's V2 takes bytes, too, but with a content type of their own.
    kinds = _meant([row for row in rows if row.get("type") != "bytes_type"] or rows)
    rows = [row for kind in kinds for row in kind]
    deepest = max(len(_path(row)) for row in rows)
    by_place: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if len(_path(row)) == deepest:
            by_place.setdefault(_place(_path(row)), []).append(row)
    sentences = [_sentence(place, at_place) for place, at_place in list(by_place.items())[:_MOST_PLACES]]
    message = _cut(("; " if len(kinds) == 1 else ", or ").join(sentences))
    return ApiError("invalid_value", message, param=next(iter(by_place)) or None)


def of_engine(status: int, body: bytes, path: str = "") -> ApiError:
    """Return the error for a response of vLLM's with ``status`` of 400 or more; its own has codes of ours already.

    ``path`` is the request's: it tells which of its fields holds the prompt.
    """
    try:
        found = orjson.loads(body)["error"]
        message, code, param = str(found["message"]), found.get("code"), found.get("param")
    except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError):
        message, code, param = f"the model responded {status}", None, None
    if not isinstance(code, str):
        faults = [_fault(*match.groups()) for match in _IN_TEXT.finditer(message)]
        if faults:  # of a value that vLLM validates by itself: a message's content, whose parts have places only
            return of_faults([{**row, "loc": _of_content(row["loc"])} for row in faults])
        client = "model_not_found" if param == "model" and status == 404 else "invalid_value"
        code = client if status < 500 else "not_implemented" if status == 501 else "model_error"
        if status == 400 and message.startswith(_TOO_LONG):
            code, param = "context_length_exceeded", _prompt_field(path)
    message = _cut(_PARAMETER.sub("", message))
    return ApiError(code, message, status=status, param=param if isinstance(param, str) else None)


def _of_content(place: list[str | int]) -> list[str | int]:
    return ["content", *place] if isinstance(place[0], int) else place


def _prompt_field(path: str) -> str | None:
    return next((field for ends, field in _PROMPT_FIELDS if path.endswith(ends)), None)


def _meant(rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return the faults by the kinds of value that the client may have meant."""
    wrong = {_kind(row) for row in rows if _is_discriminator(row)}
    kinds: dict[tuple[object, ...], list[dict[str, Any]]] = {}
    for row in rows:
        if not any(_kind(row)[: len(kind)] == kind for kind in wrong):
            kinds.setdefault(_kind(row), []).append(row)
    if not kinds:
        return [list(filter(_is_discriminator, rows))]
    fewest = min(map(len, kinds.values()))
    return [kind for kind in kinds.values() if len(kind) == fewest]


def _kind(row: dict[str, Any]) -> tuple[object, ...]:
    return tuple(part for part in row.get("loc", ()) if part != "body" and not _is_field(part))


def _is_discriminator(row: dict[str, Any]) -> bool:
    path = _path(row)
    return row.get("type") == "literal_error" and bool(path) and path[-1] in _DISCRIMINATORS


def _is_field(part: object) -> bool:
    return isinstance(part, int) or (part not in _KINDS and _FIELD.fullmatch(str(part)) is not None)


def _path(row: dict[str, Any]) -> list[str | int]:
    """Return the fields and indices that lead to a fault, without pydantic's own parts."""
    return [part for part in row.get("loc", ()) if part != "body" and _is_field(part)]


def _place(path: list[str | int]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _sentence(place: str, rows: list[dict[str, Any]]) -> str:
    if any(row.get("type") == "missing" for row in rows):
        return f"{place} is missing" if place else "the body is empty; send a JSON object"
    texts = dict.fromkeys(map(_text, rows))
    wanted = [text.removeprefix("must be ") for text in texts if text.startswith("must be ")]
    name = place or "the body"
    if not wanted:
        return f"{name}: {'; '.join(texts)}"
    return f"{name} must be {' or '.join(wanted)}{_instead(rows[0].get('input', rows))}"


def _text(row: dict[str, Any]) -> str:
    text = str(row.get("msg", "it is not valid")).removeprefix("Value error, ").partition(", unable to")[0]
    if not text.startswith("Input should be "):
        return text
    for theirs, ours in _WORDS:
        text = text.replace(theirs, ours)
    return text.replace("Input should be", "must be")


def _instead(value: object) -> str:
    """Say what a client sent, if that is short."""
    if isinstance(value, (str, int, float, bool)) or value is None:
        shown = orjson.dumps(value, default=str).decode()
        return f", not {shown}" if len(shown) <= _LONGEST_VALUE else ""
    return ""


def _fault(place: str, message: str, kind: str) -> dict[str, Any]:
    parts = [int(part) if part.isdecimal() else part for part in place.split(".")]
    return {"loc": parts, "msg": message, "type": kind}


def _cut(message: str) -> str:
    return message if len(message) <= _LONGEST_MESSAGE else message[:_LONGEST_MESSAGE] + "…"
