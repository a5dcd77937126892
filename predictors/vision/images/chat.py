"""A chat with pictures in it made into one that a model without eyes can answer: their text takes their place."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from predictors.vision.pictures.answering import Picture
from predictors.vision.pictures.bodies import decode_base64
from predictors.vision.refusal import Refused

MOST_PICTURES = 16

_PICTURE = "image_url"  # the type of a part, and the field in it, of OpenAI's chat completions
_NOTHING = "(there is no text in this picture)"


def pictures(body: Mapping[str, Any]) -> list[Picture]:
    """The pictures of a chat in their order.

    Raises:
        Refused: 400 the body is no chat, one of its pictures is not in it as a data URI, or there are too many.
    """
    messages = body.get("messages")
    if not isinstance(messages, list):
        raise Refused(400, "the body has no list `messages`; send an OpenAI chat completion")
    found = [_read(part) for message in messages for part in _parts(message)]
    if len(found) > MOST_PICTURES:
        raise Refused(400, f"the chat holds {len(found)} pictures; send at most {MOST_PICTURES}")
    return found


def with_text(body: Mapping[str, Any], texts: Sequence[str], model: str) -> dict[str, Any]:
    """``body`` for ``model``, with the ``texts`` of its pictures, in the same order, in their places."""
    left = iter(texts)
    messages = [
        {**message, "content": _told(message["content"], left)} if any(_parts(message)) else message
        for message in body["messages"]
    ]
    return {**body, "messages": messages, **({"model": model} if model else {})}


def _parts(message: Any) -> Iterator[Mapping[str, Any]]:
    """The pictures among the parts of a message."""
    content = message.get("content") if isinstance(message, dict) else None
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and part.get("type") == _PICTURE:
            yield part


def _read(part: Mapping[str, Any]) -> Picture:
    value = part.get(_PICTURE)
    url = value.get("url") if isinstance(value, dict) else value
    if not isinstance(url, str) or not url.startswith("data:"):
        raise Refused(400, "a picture is no data: URI, and pictures are not fetched here; send data:image/png;base64,…")
    return Picture(data=decode_base64(url))


def _told(content: list[Any], texts: Iterator[str]) -> list[Any]:
    alone = len(content) == 1  # nothing beside it that it could be taken for
    told = []
    for part in content:
        if isinstance(part, dict) and part.get("type") == _PICTURE:
            text = next(texts) or _NOTHING
            told.append({"type": "text", "text": text if alone else f"The picture says:\n{text}"})
        else:
            told.append(part)
    return told
