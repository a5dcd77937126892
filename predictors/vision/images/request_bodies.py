"""Reads an image from the body of an HTTP request: the bytes themselves, a form, or base64 in JSON."""

import base64
import binascii
import logging
from collections.abc import Mapping
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from predictors.vision.images.inference import Image
from switchyard.http.api_errors import ApiError
from switchyard.http.json_body import kind_of, parse_json

# It logs a line for every malformed form, which would let clients fill the log.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)

FIELDS = ("image", "file")
# An image and ``top_k`` are two; each part costs objects, and a body has room for a million.
_MOST_PARTS = 16
_FORMS = 'image/*, multipart/form-data with a field `image`, or JSON {"image": base64}'


def read_image(content_type: str, body: bytes, query: Mapping[str, str]) -> Image:
    """Read the image in ``body``, and the number of labels from the body or the query.

    Raises:
        ApiError: 415 the content type cannot hold an image; 400 there is none in it.
    """
    kind, options = parse_options_header(content_type)
    fields: Mapping[str, Any] = dict(query)
    if kind.startswith(b"image/") or kind == b"application/octet-stream":
        data = body
    elif kind == b"multipart/form-data":
        fields = {**fields, **_parts(body, options.get(b"boundary", b""))}
        data = _first(fields)
    elif kind == b"application/json":
        fields = {**fields, **json_object(body, _FORMS)}
        data = decode_base64(_first(fields))
    else:
        what = f"content type {content_type[:80]!r}" if content_type else "a body without content-type"
        raise ApiError("unsupported_media_type", f"{what} holds no image; send {_FORMS}")
    return image_of(data, fields.get("top_k"))


def image_of(data: bytes, top_k: Any) -> Image:
    """Build an image from its bytes and a number of labels given as a number or as text.

    Raises:
        ApiError: 400 the number is not valid.
    """
    if top_k is None:
        return Image(data=data)
    text = top_k.decode("latin-1") if isinstance(top_k, bytes) else str(top_k)
    if isinstance(top_k, bool) or not text.isascii() or not text.isdecimal():
        raise ApiError("invalid_value", f"top_k is {text[:40]!r}; use a whole number")
    return Image(data=data, top_k=int(text[:9]))  # more digits are out of range anyway, and cost quadratic time


def decode_base64(text: Any) -> bytes:
    """Decode base64 text or a ``data:`` URI (RFC 2397).

    Raises:
        ApiError: 400 it is neither.
    """
    if not isinstance(text, str):
        raise ApiError("invalid_value", f"the image is a JSON {kind_of(text)}; use base64 text or a data: URI")
    if text.startswith("data:"):
        head, comma, text = text.partition(",")
        if not comma or not head.endswith(";base64"):
            raise ApiError("invalid_value", "the image's data: URI is not base64; use data:image/png;base64,…")
    try:
        # Without ``validate`` it drops foreign characters, and what it decodes then fails in Triton as a broken image.
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as err:
        raise ApiError("invalid_value", f"the image is not base64: {err}") from err


def _first(fields: Mapping[str, Any]) -> Any:
    found = [name for name in FIELDS if name in fields]
    if not found:
        raise ApiError("invalid_value", f"the body has no field {' or '.join(map(repr, FIELDS))}; send {_FORMS}")
    if len(found) > 1:
        raise _several(" and ".join(map(repr, found)))
    return fields[found[0]]


def _several(found: str) -> ApiError:
    return ApiError("invalid_value", f"the body has more than one image, {found}; send a request for each")


def json_object(body: bytes, instead: str) -> Mapping[str, Any]:
    """Parse the JSON object in ``body``; the error says what to send ``instead``.

    Raises:
        ApiError: 400 it is not a JSON object.
    """
    value = parse_json(body)
    if not isinstance(value, dict):
        raise ApiError("invalid_json", f"the body is a JSON {kind_of(value)}; send {instead}")
    return value


class _Form:
    """Gathers the parts of a form (RFC 7578) by their names."""

    def __init__(self) -> None:
        self.parts: dict[str, bytes] = {}
        self.ended = False
        self._begun = 0
        self._name = self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._data: list[bytes] = []

    def on_part_begin(self) -> None:
        self._headers, self._data = {}, []
        self._begun += 1
        if self._begun > _MOST_PARTS:
            raise ApiError("invalid_value", f"the form has more than {_MOST_PARTS} parts; send the image and top_k")

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._data.append(data[start:end])

    def on_part_end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name in FIELDS and name in self.parts:
            raise _several(f"{name!r} twice")
        self.parts[name] = b"".join(self._data)

    def on_end(self) -> None:
        self.ended = True


def _parts(body: bytes, boundary: bytes) -> Mapping[str, bytes]:
    form = _Form()
    callbacks = {name: getattr(form, name) for name in dir(form) if name.startswith("on_")}
    try:
        parser = MultipartParser(boundary, callbacks)  # type: ignore[arg-type]
        parser.write(body)
        parser.finalize()
    except FormParserError as err:
        raise ApiError("invalid_value", f"the body is not a form: {err}") from err
    if not form.ended:
        raise ApiError("invalid_value", "the form ends before its last boundary; send all of it")
    return form.parts
