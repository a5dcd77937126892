"""Pictures through a real gateway: to vision models as they are, to chat models only if they see."""

import json

import pytest

from tests.switchyard.gateway.conftest import Bench, Call

PICTURE = b"\x89PNG and the rest"


async def text_of(call: Call) -> None:
    await call.answer({"model": "ocr", "text": "hello", "lines": []})


@pytest.mark.parametrize(
    ("path", "upstream"),
    [
        ("/v1/ocr", "/v1/vision/ocr"),
        ("/v1/vision/ocr", "/v1/vision/ocr"),
        ("/v1/models/ocr:predict", "/v1/models/ocr:predict"),
    ],
)
async def test_an_image_reaches_its_model_unchanged(bench: Bench, path: str, upstream: str) -> None:
    bench.model.script = text_of
    headers = {"content-type": "image/png", "accept": "text/plain"}
    answer = await bench.http.post(path, content=PICTURE, headers=headers)
    assert (answer.status_code, answer.json()["text"]) == (200, "hello")
    (call,) = bench.model.calls
    assert (call.scope["path"], call.body) == (upstream, PICTURE)
    assert (call.headers[b"content-type"], call.headers[b"accept"]) == (b"image/png", b"text/plain")


async def test_how_many_labels_are_wanted_may_stand_in_the_query(bench: Bench) -> None:
    bench.model.script = text_of
    await bench.http.post("/v1/vision/ocr?top_k=3", content=PICTURE, headers={"content-type": "image/png"})
    await bench.http.post("/v2/models/ocr/infer?top_k=3", content=PICTURE)
    assert [call.scope["query_string"] for call in bench.model.calls] == [b"top_k=3", b""]


async def test_a_chat_model_is_not_asked_to_see(bench: Bench) -> None:
    answer = await bench.http.post("/v1/vision/chat", content=PICTURE)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "wrong_model_kind")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}),
        ("/v1/responses", {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "data:"}]}]}),
        ("/v1/messages", {"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]}),
    ],
)
async def test_an_image_in_a_chat_is_rejected_by_a_model_that_reads_text_only(
    bench: Bench, path: str, body: dict[str, object]
) -> None:
    answer = await bench.http.post(path, json={"model": "chat", **body})
    assert answer.status_code == 400
    sentence = answer.json()["error"]["message"]
    assert "/v1/ocr" in sentence
    assert sentence.endswith(", or send the chat to seer") is (path == "/v1/chat/completions")
    assert not bench.model.calls
    assert (await bench.http.post(path, json={"model": "seer", **body})).status_code == 200
    assert json.loads(bench.model.calls[0].body)["model"] == "seer"


@pytest.mark.parametrize("content", ["an image of a cat", [{"type": "text", "text": "image_url"}], None, [7], 3])
async def test_words_about_images_are_only_words(bench: Bench, content: object) -> None:
    body = {"model": "chat", "messages": [{"role": "user", "content": content}, "image"]}
    assert (await bench.http.post("/v1/chat/completions", json=body)).status_code == 200


UNREAD = ["/v1/ocr", "/v1/vision/ocr", "/v1/models/ocr:predict", "/v2/models/ocr/infer", "/v2/models/ocr/generate"]
UNREAD += ["/v2/models/ocr/versions/1/generate_stream", "/v2/repository/models/ocr/load"]
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize("path", UNREAD)
@pytest.mark.parametrize(
    "headers",
    [
        *({"content-type": kind} for kind in (FORM, "text/plain", "application/jsonx", "image")),
        *({"content-encoding": encoding} for encoding in ("gzip", "deflate", "gzip, gzip", "br")),
    ],
    ids=str,
)
async def test_a_body_that_goes_on_unread_is_of_a_known_type_and_not_encoded(
    bench: Bench, path: str, headers: dict[str, str]
) -> None:
    answer = await bench.http.post(path, content=PICTURE, headers=headers)
    assert answer.status_code == 415
    assert "send" in str(answer.json()["error"])
    assert not bench.model.calls


@pytest.mark.parametrize("kind", ["Application/JSON ; charset=utf-8", "application/octet-stream", "image/svg+xml", ""])
async def test_known_types_and_none_go_on(bench: Bench, kind: str) -> None:
    bench.model.script = text_of
    headers = {"content-encoding": "Identity", **({"content-type": kind} if kind else {})}
    assert (await bench.http.post("/v1/ocr", content=PICTURE, headers=headers)).status_code == 200
