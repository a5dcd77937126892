"""The form of a file that is sent: ``switchyard.gateway.files.form``.

The input is a content type, a line feed, and the body. However the body is cut as it arrives, what is read is the same.
"""

from switchyard.gateway.files.form import FileForm
from switchyard.http.api_errors import ApiError
from tests.fuzz.inputs import cut
from tests.fuzz.mutation import changed_behind_line

TOKENS = (
    *(b"multipart/form-data; boundary=b\n", b"--b\r\n", b"\r\n--b\r\n", b"\r\n--b--\r\n", b"\r\n\r\n", b"\r\n", b"--"),
    *(b'Content-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n', b'name="purpose"\r\n\r\nbatch'),
    *(b"expires_after[seconds]", b"; filename*=utf-8''%E2", b'"', b"\\", b"\0", b"\xff", b"boundary=", b"x" * 70),
)
SHAPED = changed_behind_line


def target(data: bytes) -> None:
    kind, _, body = data.partition(b"\n")
    whole = _read(kind, [body])
    assert _read(kind, cut(body)) == whole
    if whole is not None:
        _, name, content = whole
        assert len(name) <= 255
        assert content in body


def _read(kind: bytes, chunks: list[bytes]) -> tuple[dict[str, str], str, bytes] | None:
    try:
        form = FileForm(kind)
        content = b"".join([form.feed(chunk) for chunk in chunks])
        form.finish()
    except ApiError as err:
        if err.status not in (400, 415):
            raise
        return None
    assert form.file_name is not None
    return form.fields, form.file_name, content
