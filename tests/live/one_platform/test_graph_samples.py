"""The sample graphs, as ``make up`` serves them."""

import base64
import re

import pytest

from tests.live.platform import Platform, http_client
from tests.live.processes import ROOT

pytestmark = pytest.mark.live

CAR = (ROOT / "tests/testdata/pictures/car.jpg").read_bytes()
SUM = (ROOT / "tests/testdata/sum.png").read_bytes()  # "What is 12 plus 7?"


def test_a_canary_gets_about_its_share(platform: Platform) -> None:
    asked = {"name": "text_input", "datatype": "BYTES", "shape": [1], "data": ["Hello"]}
    body = {"inputs": [asked], "parameters": {"max_tokens": 2}}
    with http_client(platform) as client:
        answers = [client.post("/v2/models/canary/infer", json=body) for _ in range(150)]

    assert {answer.status_code for answer in answers} == {200}
    models = [answer.json()["model_name"] for answer in answers]
    assert set(models) == {"chat-fast", "chat-reasoning"}
    assert 2 <= models.count("chat-reasoning") <= 36  # a tenth of 150; outside of this once in ten thousand runs


def test_two_readers_look_at_one_image(platform: Platform) -> None:
    body = {"instances": [{"image": {"b64": base64.b64encode(CAR).decode()}}]}
    with http_client(platform) as client:
        answer = client.post("/v1/models/two-readers:predict", json=body)

    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert said["text"]["predictions"][0]["text"]
    assert {label["label"] for label in said["direction"]["predictions"][0]["labels"]} == {"0", "1"}


@pytest.mark.parametrize("stream", [False, True])
def test_a_photo_is_read_and_its_question_answered(platform: Platform, stream: bool) -> None:
    url = "data:image/png;base64," + base64.b64encode(SUM).decode()
    content = [{"type": "image_url", "image_url": {"url": url}}]
    body = {"model": "read-photo", "messages": [{"role": "user", "content": content}], "max_tokens": 40}
    with http_client(platform) as client:
        answer = client.post("/v1/chat/completions", json={**body, "stream": stream})

    assert answer.status_code == 200, answer.text
    text = "".join(re.findall(r'"content":"([^"]*)"', answer.text))
    assert "19" in text, answer.text


def test_an_image_that_cannot_be_read_is_a_clear_error(platform: Platform) -> None:
    url = "data:image/png;base64," + base64.b64encode(b"no picture").decode()
    content = [{"type": "image_url", "image_url": {"url": url}}]
    body = {"model": "read-photo", "messages": [{"role": "user", "content": content}]}
    with http_client(platform) as client:
        answer = client.post("/v1/chat/completions", json=body)

    assert answer.status_code == 400
    assert "not an image" in answer.text
