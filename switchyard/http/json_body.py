"""A request's JSON: its type, its encoding and its text, read alike by every process.

RFC 8259 §8.1: JSON between systems is UTF-8, and a parser may ignore a byte order mark or not. None here does, because
not all of those behind would.
"""

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from typing import Any

import orjson

from switchyard.http.api_errors import ApiError

JSON = b"application/json"
# RFC 8259 §11 has no charset; clients that add one mean the encoding. ASCII is UTF-8, too.
_CHARSETS = frozenset((b"utf-8", b"utf8", b"us-ascii", b"ascii"))
_KINDS = {list: "list", str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}
_PLAIN = frozenset((b"", b"identity"))
_SHOWN = 80  # bytes of a header that are repeated to the client


def media_type(content_type: bytes) -> bytes:
    """Return the type of a content-type header in lower case, without parameters (RFC 9110 §8.3.1)."""
    return content_type if content_type == JSON else content_type.partition(b";")[0].strip().lower()


def check_encoding(content_encoding: bytes) -> None:
    """Check a content-encoding header (RFC 9110 §8.4); nothing here or behind decompresses.

    Raises:
        ApiError: 415 the body is encoded.
    """
    if not _PLAIN.issuperset(coding.strip().lower() for coding in content_encoding.split(b",")):
        message = f"content-encoding is {_shown(content_encoding)}; send the body as it is, without one"
        raise ApiError("unsupported_media_type", message)


def check_charset(content_type: bytes) -> None:
    """Check that the content-type of a JSON body names no other charset than UTF-8.

    Raises:
        ApiError: 415 it does.
    """
    for parameter in content_type.split(b";")[1:]:
        name, _, value = parameter.partition(b"=")
        charset = value.strip().strip(b'"').lower()
        if name.strip().lower() == b"charset" and charset not in _CHARSETS:
            message = f"the charset of the body is {_shown(charset) or 'empty'}; send JSON in UTF-8"
            raise ApiError("unsupported_media_type", message)


def check_json_type(content_type: bytes) -> None:
    """Check that a content-type header says JSON in UTF-8.

    Raises:
        ApiError: 415 it does not.
    """
    if content_type == JSON:
        return
    if media_type(content_type) != JSON:
        message = f"content-type is {_shown(content_type) or 'missing'}; send content-type: application/json"
        raise ApiError("unsupported_media_type", message)
    check_charset(content_type)


def parse_json(text: bytes, body: bytes | None = None) -> Any:
    """Parse JSON; of a large ``body``, ``text`` may be the outline.

    Raises:
        ApiError: 400 it is not JSON in UTF-8, and where.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as err:
        raise not_json(text if body is None else body, str(err)) from None


def parse_object(text: bytes, body: bytes | None = None) -> dict[str, Any]:
    """Parse a JSON object, as ``parse_json``.

    Raises:
        ApiError: 400 it is none.
    """
    payload = parse_json(text, body)
    if not isinstance(payload, dict):
        raise ApiError("invalid_json", "the body must be a JSON object")
    return payload


def kind_of(value: object) -> str:
    """Return JSON's name for the kind of a parsed value."""
    return _KINDS.get(type(value), "object")


def not_json(body: bytes, reason: str) -> ApiError:
    """Return the error for a body that is not JSON; ``reason`` is the parser's."""
    if body.startswith(BOM_UTF8):
        return ApiError("invalid_json", "the body begins with a byte order mark (BOM); send UTF-8 without one")
    if body.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return ApiError("invalid_json", "the body is UTF-16; send JSON in UTF-8")
    try:
        body.decode()
    except UnicodeDecodeError as err:
        where = f"its byte {err.start} (from 0) is 0x{body[err.start]:02x}"
        return ApiError("invalid_json", f"the body is not UTF-8: {where}; send JSON in UTF-8")
    hint = " (NaN and Infinity are not JSON either)" if b"NaN" in body or b"Infinity" in body else ""
    return ApiError("invalid_json", f"the body is not JSON: {reason}{hint}")


def _shown(value: bytes) -> str:
    return value[:_SHOWN].decode("latin-1")
