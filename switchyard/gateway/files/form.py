"""Reads a form with one file in it (RFC 7578) as it arrives, whatever the file's length."""

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from switchyard.http.api_errors import ApiError
from switchyard.http.json_body import media_type

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

# It logs a line for every malformed form, which would let clients fill the log.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)

_FORM = b"multipart/form-data"
_FIELDS = 8  # OpenAI's has four
_HEADER_BYTES = 8192  # of one part
_FIELD_BYTES = 1024
_NAME_CHARACTERS = 255  # of a file's name, as file systems have it


@dataclass(slots=True)
class _Part:
    name: str
    file_name: str | None
    data: bytearray = field(default_factory=bytearray)


class FileForm:
    """The fields of a form, and the data of its one file as far as it has arrived.

    Raises (all methods): ApiError, where it is no such form.
    """

    def __init__(self, content_type: bytes) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if media_type(kind) != _FORM or not boundary:
            message = "send the file as multipart/form-data, with the fields purpose and file"
            raise ApiError("unsupported_media_type", message)
        self.fields: dict[str, str] = {}
        self.file_name: str | None = None
        self._file = bytearray()
        self._part: _Part | None = None
        self._header = self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._size = self._begun = 0
        self._ended = False
        try:
            self._parser = MultipartParser(boundary, self._callbacks())
        except FormParserError as err:
            raise _malformed(err) from None

    def feed(self, data: bytes) -> bytes:
        """Take a chunk of the body; return what it has of the file."""
        try:
            self._parser.write(data)
        except FormParserError as err:
            raise _malformed(err) from None
        found, self._file = bytes(self._file), bytearray()
        return found

    def finish(self) -> None:
        """Check that the form is whole."""
        if not self._ended:
            raise ApiError("invalid_value", "the form ends before its last boundary")
        if self.file_name is None:
            raise ApiError("invalid_value", "the form has no file; send one in the field file", param="file")

    def _callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._on_part_begin,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }

    def _on_part_begin(self) -> None:
        self._headers, self._size = {}, 0
        self._begun += 1
        if self._begun > _FIELDS:
            raise ApiError("invalid_value", f"the form has more than {_FIELDS} fields")

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]
        self._count(end - start, _HEADER_BYTES)

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._count(end - start, _HEADER_BYTES)

    def _on_header_end(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header = self._value = b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        name, file_name = (options.get(key) for key in (b"name", b"filename"))
        shown = None if file_name is None else file_name.decode("utf-8", "replace")[:_NAME_CHARACTERS]
        self._part = part = _Part((name or b"").decode("utf-8", "replace"), shown)
        self._size = 0
        if part.name == "file":
            if self.file_name is not None:
                raise ApiError("invalid_value", "the form has more than one file; send a request for each")
            self.file_name = part.file_name or "file"
        elif part.name in self.fields:
            raise ApiError("invalid_value", f"the field {part.name[:80]!r} is there twice; send it once")

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        assert self._part is not None
        if self._part.name == "file":
            self._file += data[start:end]
        else:
            self._count(end - start, _FIELD_BYTES)
            self._part.data += data[start:end]

    def _on_part_end(self) -> None:
        if self._part is not None and self._part.name != "file":
            self.fields[self._part.name] = self._part.data.decode("utf-8", "replace")
        self._part = None

    def _on_end(self) -> None:
        self._ended = True

    def _count(self, size: int, most: int) -> None:
        self._size += size
        if self._size > most:
            raise ApiError("invalid_value", f"a field of the form is longer than {most} bytes")


def _malformed(err: FormParserError) -> ApiError:
    return ApiError("invalid_value", f"the body is not a form: {err}")
