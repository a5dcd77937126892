"""Replaces the images of a chat by their text, for a model that takes no images."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from predictors.vision.images.inference import Image
from predictors.vision.images.request_bodies import decode_base64
from switchyard.http.api_errors import ApiError

MAX_IMAGES = 16

_IMAGE_URL = "image_url"  # the type of a part, and the field in it, of OpenAI's chat completions
_NO_TEXT = "(there is no text in this image)"


def images_in(body: Mapping[str, Any]) -> list[Image]:
    """Return the images of a chat in order.

    Raises:
        ApiError: 400 the body is not a chat, an image is not a data URI, or there are too many.
    """
    messages = body.get("messages")
    if not isinstance(messages, list):
        raise ApiError("invalid_value", "the body has no list `messages`; send an OpenAI chat completion")
    found = [_read(part) for message in messages for part in _parts(message)]
    if len(found) > MAX_IMAGES:
        raise ApiError("invalid_value", f"the chat holds {len(found)} images; send at most {MAX_IMAGES}")
    return found


def with_text(body: Mapping[str, Any], texts: Sequence[str], model: str) -> dict[str, Any]:
    """Return ``body`` for ``model`` with its images replaced by ``texts``, in the same order."""
    remaining = iter(texts)
    messages = [
        {**message, "content": _replaced(message["content"], remaining)} if any(_parts(message)) else message
        for message in body["messages"]
    ]
    return {**body, "messages": messages, **({"model": model} if model else {})}


def _parts(message: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the images among the parts of a message."""
    content = message.get("content") if isinstance(message, dict) else None
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and part.get("type") == _IMAGE_URL:
            yield part


def _read(part: Mapping[str, Any]) -> Image:
    value = part.get(_IMAGE_URL)
    url = value.get("url") if isinstance(value, dict) else value
    if not isinstance(url, str) or not url.startswith("data:"):
        message = "an image is not a data: URI, and images are not fetched; send data:image/png;base64,…"
        raise ApiError("invalid_value", message)
    return Image(data=decode_base64(url))


def _replaced(content: list[Any], texts: Iterator[str]) -> list[Any]:
    alone = len(content) == 1  # no other text with which it could be confused
    replaced = []
    for part in content:
        if isinstance(part, dict) and part.get("type") == _IMAGE_URL:
            text = next(texts) or _NO_TEXT
            replaced.append({"type": "text", "text": text if alone else f"The image says:\n{text}"})
        else:
            replaced.append(part)
    return replaced
