"""ImageInference in forms, in JSON and as they are: ``predictors.vision.images.request_bodies``.

The input is a content type, a line feed, and the body.
"""

from predictors.vision.images.request_bodies import read_image
from switchyard.http.api_errors import ApiError
from tests.fuzz.mutation import changed_behind_line

TOKENS = (
    *(b"multipart/form-data; boundary=b\n", b"--b\r\n", b"\r\n--b\r\n", b"\r\n--b--\r\n", b"\r\n\r\n", b"\r\n", b"--"),
    *(b'Content-Disposition: form-data; name="image"\r\n\r\n', b"; filename*=utf-8''%E2", b'"', b"\\", b";", b"="),
    *(
        b"image/png\n",
        b"application/json\n",
        b'{"image":"aGk="}',
        b'"top_k":2',
        b'name="top_k"\r\n\r\n3',
        b"\0",
        b"\xff",
    ),
    *(b"boundary=", b"data:image/png;base64,", b"charset=", b"*0=", b'boundary="b b"', b"Content-Type: x\r\n"),
)
_BOUNDARY = b"fuzz-8f1b"
SHAPED = changed_behind_line


def target(data: bytes) -> None:
    kind, _, body = data.partition(b"\n")
    content_type = kind.decode("latin-1")
    try:
        picture = read_image(content_type, body, {})
    except ApiError as err:
        if err.status not in (400, 415):
            raise
        return
    assert picture.data
    if not content_type.strip().lower().startswith("application/json"):
        assert picture.data in body
    if _BOUNDARY not in picture.data:
        again = read_image(f"multipart/form-data; boundary={_BOUNDARY.decode()}", _form(picture.data), {})
        assert again.data == picture.data


def _form(data: bytes) -> bytes:
    head = b'--%b\r\nContent-Disposition: form-data; name="image"\r\n\r\n' % _BOUNDARY
    return head + data + b"\r\n--%b--\r\n" % _BOUNDARY
