import base64
from typing import Any

import pytest

from predictors.vision.images.chat import MAX_IMAGES, images_in, with_text
from switchyard.http.api_errors import ApiError


def shown(data: bytes) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": "data:image/png;base64," + base64.b64encode(data).decode()}}


def said(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def chat(*contents: Any) -> dict[str, Any]:
    return {"model": "read-photo", "stream": True, "messages": [{"role": "user", "content": one} for one in contents]}


def test_images_are_found_in_their_order() -> None:
    body = chat("hello", [said("what is"), shown(b"one"), shown(b"two")], [shown(b"three")])
    assert [picture.data for picture in images_in(body)] == [b"one", b"two", b"three"]


def test_the_text_of_each_image_takes_its_place_and_all_else_stays() -> None:
    body = chat("hello", [said("add"), shown(b"one")], [shown(b"two")])
    told = with_text(body, ["1 + 1", ""], "chat-reasoning")
    assert told == {
        "model": "chat-reasoning",
        "stream": True,
        "messages": [
            {"role": "user", "content": "hello"},
            {"role": "user", "content": [said("add"), said("The image says:\n1 + 1")]},
            {"role": "user", "content": [said("(there is no text in this image)")]},
        ],
    }


def test_a_chat_without_images_only_changes_its_model() -> None:
    assert with_text(chat("hello"), [], "chat-fast") == {**chat("hello"), "model": "chat-fast"}
    assert with_text(chat("hello"), [], "") == chat("hello")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "messages"),
        ({"messages": "hello"}, "messages"),
        (chat([{"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}]), "not fetched"),
        (chat([{"type": "image_url", "image_url": 3}]), "not fetched"),
        (chat([{"type": "image_url", "image_url": {"url": "data:image/png;base64,%%"}}]), "base64"),
        (chat([shown(b"x")] * (MAX_IMAGES + 1)), "at most"),
    ],
)
def test_what_is_no_chat_with_images_is_rejected_with_a_sentence(body: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ApiError, match=sentence) as caught:
        images_in(body)
    assert caught.value.status == 400
