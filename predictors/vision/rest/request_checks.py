"""What a V2 request must be before Triton reads it: 2.51 ends on some that are not.

Seen to end it: forms of some megabytes, which its HTTP server parses whatever the path; JSON of some thousand nested
arrays; shapes with more elements than memory. Compressed bodies would pass the limit of size.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Mapping

import orjson

from predictors.vision.rest.routes import Kind
from predictors.vision.triton.shapes import MAX_DIMENSIONS, check_elements, elements
from predictors.vision.triton.tensors import HEADER_LENGTH
from switchyard.http.api_errors import ApiError
from switchyard.http.asgi import Scope
from switchyard.http.asgi.replies import header
from switchyard.http.json_body import check_charset, check_encoding, media_type, not_json

# By kind of route; images are looked at by their reader, which names what holds one.
_JSON = ("application/json",)
_TYPES: Mapping[Kind, tuple[str, ...]] = {
    **dict.fromkeys(("server", "index", "model", "model-ready", "chat", "predict", "load", "unload"), _JSON),
    "infer": (*_JSON, "application/octet-stream", "image/*"),
    "image": ("*",),
}
_SINGLE = frozenset((b"content-type", b"content-encoding", HEADER_LENGTH))
MAX_DEPTH = 32  # of arrays and objects: data may be nested as deeply as its shape is long
_MAX_BRACKETS = 1 << 20  # data of a million rows; each level of them is looked at
_MAX_STRINGS = 1 << 21  # where brackets are counted, each is looked at
_PARSED_BYTES = 64 * 1024  # of a request to generate: at most a millisecond
_MAX_TENSORS = 10_000  # as many as there may be fields in a gRPC message
# A string, or the rest of a body that ends within one: each quote is looked at once, whatever the body.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
# The key, also with letters written as escapes, and the array after it.
_LETTERS = b"".join(b"(?:%c|\\\\u00%02x)" % (letter, letter) for letter in b"shape")
_SHAPE = re.compile(rb'"%b"\s*+:\s*+\[([^\]]*+)' % _LETTERS)


def check_headers(kind: Kind, scope: Scope) -> None:
    """Check the headers that describe a body; one may come without a content type, as Triton's own clients send it.

    Raises:
        ApiError: 415 the body is of no type that the route takes, or encoded; 400 a header occurs twice.
    """
    types = _TYPES.get(kind)
    if types is None or scope["method"] in ("GET", "HEAD"):
        return
    names = [name for name, _ in scope["headers"] if name in _SINGLE]
    if len(set(names)) != len(names):
        raise ApiError(
            "invalid_value", "content-type, content-encoding or inference-header-content-length occurs twice"
        )
    check_encoding((header(scope, b"content-encoding") or "").encode("latin-1"))
    given = header(scope, b"content-type") or ""
    body = media_type(given.encode("latin-1")).decode("latin-1")
    if body and types != ("*",) and not {body, body.partition("/")[0] + "/*"} & set(types):
        raise ApiError("unsupported_media_type", f"content-type is {given[:80]!r}; use {' or '.join(types)}")
    if body in _JSON:
        check_charset(given.encode("latin-1"))


def json_length(scope: Scope, body_length: int) -> int:
    """Return the length of the JSON at the beginning of a body, 0 of one that is a single tensor's bytes.

    Raises:
        ApiError: the length that the request declares is none, or longer than the body.
    """
    declared = header(scope, HEADER_LENGTH)
    if declared is None:
        return body_length
    if not (declared.isascii() and declared.isdecimal() and len(declared) < 20 and int(declared) <= body_length):
        message = f"inference-header-content-length is {declared[:40]!r}; it is the length of the JSON in the body"
        raise ApiError("invalid_value", message)
    return int(declared)


def check_body(verb: str, data: bytes, request_bytes: int) -> list[list[int]]:
    """Check the JSON of a request for Triton, and return the shapes of its tensors, which only an inference has.

    Raises:
        ApiError: as of ``check_json`` and ``check_parameters``.
    """
    if verb == "infer":
        return check_json(data, request_bytes)
    check_depth(data)
    check_parameters(data)
    return []


def check_json(data: bytes, request_bytes: int) -> list[list[int]]:
    """Check the JSON of a request with tensors, and return their shapes; ``request_bytes`` is its body's length.

    It is searched, not parsed: to parse numbers into objects would cost twenty times their size.

    Raises:
        ApiError: it is nested too deeply, or a tensor's shape cannot be.
    """
    check_depth(data)
    shapes = list[list[int]]()
    try:
        for shape in _SHAPE.finditer(data):
            if len(shapes) == _MAX_TENSORS:
                raise ValueError(f"the request has more than {_MAX_TENSORS} shapes")
            shapes.append(_dimensions(shape[1]))
            check_elements(elements(shapes[-1]), request_bytes)
    except ValueError as err:
        raise ApiError("invalid_value", str(err)) from err
    return shapes


def check_depth(data: bytes) -> None:
    """Check how deeply JSON is nested, and that it begins without a byte order mark.

    Raises:
        ApiError: deeper than ``MAX_DEPTH``, or its brackets do not match.
    """
    if data.startswith(BOM_UTF8):
        raise not_json(data, "")
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return
    if data.count(b'"') > 2 * _MAX_STRINGS:
        raise ApiError("invalid_value", f"the JSON has more than {_MAX_STRINGS} strings; send binary data")
    brackets = _STRING.sub(b"", data).translate(None, _NO_BRACKETS)
    if len(brackets) > _MAX_BRACKETS:
        message = f"the JSON has more than {_MAX_BRACKETS // 2} arrays; send data as one flat array, or as binary data"
        raise ApiError("invalid_value", message)
    for _ in range(MAX_DEPTH):  # each turn removes the innermost ones
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if not brackets:
            return
    raise ApiError(
        "invalid_json", f"the JSON is nested more than {MAX_DEPTH} levels deep, or its brackets do not match"
    )


def check_parameters(data: bytes) -> None:
    """Check the parameters of a request to generate, unless it is large: Triton calls wrong ones its own fault.

    Raises:
        ApiError: they are no object.
    """
    try:
        payload = orjson.loads(data) if len(data) <= _PARSED_BYTES else None
    except orjson.JSONDecodeError:  # which Triton says
        return
    if not isinstance(payload, dict) or "parameters" not in payload:
        return
    if not isinstance(payload["parameters"], dict):
        raise ApiError("invalid_value", "parameters must be a JSON object", param="parameters")


def _dimensions(array: bytes) -> list[int]:
    if array.count(b",") >= MAX_DIMENSIONS:
        raise ValueError(f"a shape has more than {MAX_DIMENSIONS} dimensions")
    texts = [text.strip() for text in array.split(b",")] if array.strip() else []
    if not all(text.isdigit() and len(text) < 20 for text in texts):
        raise ValueError(f"a shape is [{array[:80].decode('latin-1')}]; dimensions are whole numbers from 0")
    return [int(text) for text in texts]
