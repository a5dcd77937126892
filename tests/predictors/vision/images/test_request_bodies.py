"""An image out of every body that carries one."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictors.vision.images.request_bodies import read_image
from switchyard.http.api_errors import ApiError

DATA = b"\x89PNG\r\n\x1a\n\r\n--not-the-boundary\0"
TEXT = base64.b64encode(DATA).decode()


def form(*parts: tuple[str, bytes], end: str = "--b--\r\n") -> bytes:
    rows = [f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + data for name, data in parts]
    return b"".join(row + b"\r\n" for row in rows) + end.encode()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("image/png", DATA),
        ("image/anything", DATA),
        ("application/octet-stream", DATA),
        ("multipart/form-data; boundary=b", form(("image", DATA))),
        ('multipart/form-data; boundary="b"', form(("note", b"x"), ("file", DATA))),
        ("application/json", json.dumps({"image": TEXT}).encode()),
        ("application/json; charset=utf-8", json.dumps({"file": f"data:image/png;base64,{TEXT}"}).encode()),
    ],
)
def test_the_bytes_are_those_that_were_sent(kind: str, body: bytes) -> None:
    read = read_image(kind, body, {})
    assert (read.data, read.top_k) == (DATA, 5)


def test_the_number_of_labels_comes_from_the_body_before_the_query() -> None:
    assert read_image("image/png", DATA, {"top_k": "2"}).top_k == 2
    assert read_image("application/json", json.dumps({"image": TEXT, "top_k": 3}).encode(), {"top_k": "2"}).top_k == 3
    assert read_image("multipart/form-data; boundary=b", form(("image", DATA), ("top_k", b"4")), {}).top_k == 4


@pytest.mark.parametrize(
    ("kind", "body", "status", "words"),
    [
        ("", DATA, 415, "a body without content-type holds no image"),
        ("text/html", DATA, 415, "text/html"),
        ("image/png", b"", 400, "is empty"),
        ("application/json", b"{", 400, "not JSON"),
        ("application/json", b"[]", 400, "JSON list"),
        ("application/json", b"{}", 400, "no field 'image' or 'file'"),
        ("application/json", b'{"image": 5}', 400, "JSON number"),
        ("application/json", b'{"image": "a*b"}', 400, "not base64"),
        ("application/json", b'{"image": "data:image/png,abc"}', 400, "is not base64"),
        ("application/json", b'{"image": ""}', 400, "is empty"),
        ("application/json", b'{"image": "aa", "file": "aa"}', 400, "more than one image, 'image' and 'file'"),
        ("multipart/form-data; boundary=b", form(("image", DATA), ("file", DATA)), 400, "'image' and 'file'"),
        ("multipart/form-data; boundary=b", form(("image", DATA), ("a", b""), ("image", DATA)), 400, "'image' twice"),
        ("application/json", b'\xef\xbb\xbf{"image": "aa"}', 400, "byte order mark"),
        ("multipart/form-data; boundary=b", form(("picture", DATA)), 400, "no field"),
        ("multipart/form-data; boundary=b", form(("image", DATA), end=""), 400, "before its last boundary"),
        ("multipart/form-data; boundary=b", b"nothing", 400, "not a form"),
        ("multipart/form-data", form(("image", DATA)), 400, "not a form"),
        (
            "multipart/form-data; boundary=b",
            form(*(("a", b"b"),) * 3, *((f"n{n}", b"") for n in range(17))),
            400,
            "more",
        ),
        ("multipart/form-data; boundary=b", form(*((f"image{n}", DATA) for n in range(17))), 400, "more than 16 parts"),
        (f"multipart/form-data; boundary={'b' * 300}", form(("image", DATA)), 400, "not a form"),
    ],
)
def test_what_is_wrong_is_said(kind: str, body: bytes, status: int, words: str) -> None:
    with pytest.raises(ApiError, match=words) as raised:
        read_image(kind, body, {})
    assert raised.value.status == status


@pytest.mark.parametrize("top_k", ["0", "1001", "-1", "many", "1.5", "٣", "9" * 30])
def test_a_number_of_labels_that_is_none_is_rejected(top_k: str) -> None:
    with pytest.raises(ApiError, match="top_k is"):
        read_image("image/png", DATA, {"top_k": top_k})


@given(st.sampled_from(["multipart/form-data; boundary=b", "application/json"]), st.binary(max_size=200))
def test_any_bytes_are_read_or_rejected(kind: str, body: bytes) -> None:
    status = 400
    try:
        read_image(kind, body, {})
    except ApiError as caught:
        status = caught.status
    assert status == 400
