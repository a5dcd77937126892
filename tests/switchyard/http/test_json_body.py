"""How a body says that it is JSON, and what is said of one that is not."""

from collections.abc import Callable

import pytest

from switchyard.http.api_errors import ApiError
from switchyard.http.json_body import check_encoding, check_json_type, parse_json, parse_object
from switchyard.http.json_cost import outline

TYPES: dict[str, str] = {
    "application/json": "",
    "Application/JSON": "",
    "application/json ; charset=utf-8": "",
    "application/json;charset=UTF-8": "",
    'application/json; charset="utf-8"': "",
    "application/json; Charset = Utf8": "",
    "application/json; charset=us-ascii": "",
    "application/json;": "",
    "application/json; profile=x": "",
    "": "content-type is missing; send content-type: application/json",
    "text/json": "content-type is text/json; send",
    "application/jsonl": "content-type is application/jsonl; send",
    "application/json, application/json": "content-type is application/json, application/json; send",
    "x" * 10_000: f"content-type is {'x' * 80}; send",
    "application/json; charset=utf-16": "the charset of the body is utf-16; send JSON in UTF-8",
    'application/json; charset="ISO-8859-1"': "the charset of the body is iso-8859-1; send",
    "application/json; charset=": "the charset of the body is empty; send",
}
ENCODINGS = {
    **dict.fromkeys(("identity", "Identity", " IDENTITY ", "", "identity, identity"), ""),
    "gzip": "content-encoding is gzip; send the body as it is",
    "identity, br": "content-encoding is identity, br; send",
    "x" * 10_000: f"content-encoding is {'x' * 80}; send",
}


@pytest.mark.parametrize(("content_type", "sentence"), TYPES.items(), ids=[one[:40] for one in TYPES])
def test_json_may_be_announced_in_every_legal_spelling_and_as_utf_8_only(content_type: str, sentence: str) -> None:
    found = rejection(lambda: check_json_type(content_type.encode()))
    assert found.startswith(f"415 {sentence}") if sentence else not found


@pytest.mark.parametrize(("encoding", "sentence"), ENCODINGS.items(), ids=[one[:40] for one in ENCODINGS])
def test_a_body_may_be_encoded_as_identity_only(encoding: str, sentence: str) -> None:
    found = rejection(lambda: check_encoding(encoding.encode()))
    assert found.startswith(f"415 {sentence}") if sentence else not found


TEXTS: dict[str, tuple[bytes, str]] = {
    "a byte order mark": (b"\xef\xbb\xbf{}", "the body begins with a byte order mark (BOM); send UTF-8 without one"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "the body is UTF-16; send JSON in UTF-8"),
    "Latin-1": (b'{"a": "caf\xe9"}', "the body is not UTF-8: its byte 10 (from 0) is 0xe9; send JSON in UTF-8"),
    "a surrogate": (b'{"a": "\xed\xa0\x80"}', "the body is not UTF-8: its byte 7 (from 0) is 0xed"),
    "nothing": (b"", "the body is not JSON: "),
    "NaN": (b'{"a": NaN}', "the body is not JSON: unexpected character"),
    "an end too early": (b'{"a": ', "the body is not JSON: "),
}


@pytest.mark.parametrize(("body", "sentence"), TEXTS.values(), ids=TEXTS)
def test_the_error_of_a_text_says_what_is_wrong_with_it_and_where(body: bytes, sentence: str) -> None:
    with pytest.raises(ApiError) as raised:
        parse_json(body)
    assert (raised.value.code, raised.value.status) == ("invalid_json", 400)
    assert raised.value.message.startswith(sentence)
    assert ("NaN" in raised.value.message) == (b"NaN" in body)


@pytest.mark.parametrize("at", [7, 65_535, 65_536, 150_000])
async def test_a_byte_of_a_large_body_that_is_not_utf_8_is_found_wherever_it_is(at: int) -> None:
    body = bytearray(b'{"a": "' + b"x" * 200_000 + b'"}')
    body[at] = 0xE9
    with pytest.raises(ApiError, match=rf"its byte {at} \(from 0\) is 0xe9"):
        await outline(bytes(body))
    body[at : at + 1] = "é".encode()
    await outline(bytes(body))


@pytest.mark.parametrize("body", [b"[]", b"1", b'"x"', b"null"])
def test_only_an_object_is_a_request(body: bytes) -> None:
    with pytest.raises(ApiError, match="must be a JSON object"):
        parse_object(body)


def rejection(check: Callable[[], None]) -> str:
    try:
        check()
    except ApiError as err:
        return f"{err.status} {err.message}"
    return ""
