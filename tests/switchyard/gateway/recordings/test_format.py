"""What is recorded is read as it was written, and what is none of it is found out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.gateway.recordings.format import (
    Chunk,
    Decoder,
    End,
    Entry,
    Failure,
    FormatError,
    Head,
    encode_chunk,
    encode_end,
    encode_head,
)
from switchyard.http.api_errors import ApiError
from switchyard.http.usage import Usage

HEAD = Head(
    status=200,
    headers=((b"content-type", b"text/event-stream"), (b"x-odd", b"\xe9")),
    route="/v1/chat/completions",
    model="chat",
    shape="openai",
    request_id="one",
    began=1.5,
    events=True,
    whole=False,
)
FAILURE = Failure.of(ApiError("overloaded", "full", retry_after=3, param="model"))


def written(entry: Entry) -> bytes:
    if isinstance(entry, Head):
        return encode_head(entry)
    return encode_chunk(entry.at, entry.data) if isinstance(entry, Chunk) else encode_end(0, entry)


@given(st.lists(st.builds(Chunk, st.integers(0, 2**32 - 1), st.binary(max_size=50))), st.lists(st.integers(0, 400)))
def test_entries_come_back_however_segments_cut_them(chunks: list[Chunk], cuts: list[int]) -> None:
    entries: list[Entry] = [HEAD, *chunks, End(FAILURE, Usage(prompt_tokens=3, completion_tokens=5))]
    text, decoder, found, at = b"".join([written(one) for one in entries]), Decoder(), list[Entry](), 0
    for cut in sorted({min(cut, len(text)) for cut in cuts} | {len(text)}):
        found += decoder.feed(text[at:cut])
        at = cut

    assert found == entries


@given(st.binary(max_size=200))
def test_bytes_of_somebody_else_are_no_recording(data: bytes) -> None:
    try:
        for entry in Decoder().feed(data):
            assert isinstance(entry, Head | Chunk | End)
    except FormatError:
        pass


@pytest.mark.parametrize(
    "entry",
    [
        b"X" + bytes(8),
        b"H" + bytes(4) + (2).to_bytes(4, "big") + b"{}",
        b"E" + bytes(4) + (2).to_bytes(4, "big") + b"[]",
        encode_head(HEAD).replace(b'"status":200', b'"status":999'),
        encode_end(0, End(FAILURE)).replace(b'"overloaded"', b'"overgrowne"'),
    ],
    ids=["kind", "head", "end", "status", "code"],
)
def test_an_entry_that_is_none_is_an_error(entry: bytes) -> None:
    with pytest.raises(FormatError):
        list(Decoder().feed(entry))


def test_an_error_is_raised_anew_for_each_reader() -> None:
    first, second = FAILURE.error(), FAILURE.error()

    assert first is not second
    assert (first.code, first.message, first.status, first.retry_after, first.param) == (
        "overloaded",
        "full",
        503,
        3,
        "model",
    )
