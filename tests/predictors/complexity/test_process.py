"""The predictor as the process that a pod runs, over HTTP."""

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

from predictors.complexity.tiers.rules import Reason
from tests.predictors.complexity.conftest import DEADLINE, Predictor
from tests.predictors.complexity.tiers.test_affinity import chat
from tests.predictors.complexity.tiers.test_decider import EASY, HARD

PATHS = ["/", "/v1/models/complexity:predict", "/v2/models/complexity/infer", "/openai/v1/chat/completions", "/any?x=1"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("prompt", "tier"), [(EASY, "fast"), (HARD, "reasoning")])
def test_the_body_comes_back_addressed_on_any_path(predictor: Predictor, path: str, prompt: str, tier: str) -> None:
    body = chat(prompt, model="auto", stream=True, temperature=0.5, metadata={"a": [1, None]})
    answer = predictor.ask(body, path)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == body | {"model": f"chat-{tier}"}


def test_the_decision_rides_in_headers(predictor: Predictor) -> None:
    headers = predictor.ask(chat(EASY, model="auto")).headers

    assert headers["x-switchyard-tier"] == "fast"
    assert headers["x-switchyard-reason"] == "classifier"
    assert -5 < float(headers["x-switchyard-score"]) < 5
    assert 0 <= float(headers["x-switchyard-share"]) <= 1


@pytest.mark.parametrize("model", [None, "auto", "complexity"])
def test_names_that_mean_either_leave_the_choice_to_us(predictor: Predictor, model: str | None) -> None:
    body = chat(HARD) if model is None else chat(HARD, model=model)

    assert predictor.ask(body).json()["model"] == "chat-reasoning"


def test_a_name_of_neither_tier_passes_through(predictor: Predictor) -> None:
    answer = predictor.ask({"model": "other", "anything": 1})

    assert answer.json() == {"model": "other", "anything": 1}
    assert answer.headers["x-switchyard-reason"] == "explicit-model"
    assert "x-switchyard-tier" not in answer.headers


@pytest.mark.parametrize(("model", "other"), [("chat-fast", "chat-reasoning"), ("chat-reasoning", "chat-fast")])
def test_what_one_tier_did_not_respond_to_is_addressed_to_the_other(
    predictor: Predictor, model: str, other: str
) -> None:
    body = chat(f"{EASY} {model}", model=model)
    answer = predictor.ask(body, "/other-tier")
    tool_result = {"role": "tool", "tool_call_id": "1", "content": "42"}
    then = predictor.ask({"messages": [*body["messages"], tool_result]})

    assert answer.json() == body | {"model": other}
    assert answer.headers["x-switchyard-reason"] == "failover"
    assert then.json()["model"] == other  # the conversation is remembered where it is now


def test_what_is_addressed_to_neither_tier_has_no_other_one(predictor: Predictor) -> None:
    assert predictor.ask(chat(EASY, model="auto"), "/other-tier").status_code == 400


def test_the_gateways_headers_are_heard(predictor: Predictor) -> None:
    held = predictor.ask(chat(HARD), **{"x-switchyard-policy": "fast"})
    first = predictor.ask(chat(HARD), **{"x-switchyard-conversation": "c1", "x-switchyard-tenant": "t"})
    known = {"x-switchyard-conversation": "c1"}
    same = predictor.ask({"input": "Thanks!"}, **known, **{"x-switchyard-tenant": "t"})
    other = predictor.ask({"input": "Thanks!"}, **known, **{"x-switchyard-tenant": "u"})

    assert held.headers["x-switchyard-reason"] == "tenant-policy"
    assert first.headers["x-switchyard-tier"] == "reasoning"
    assert same.headers["x-switchyard-reason"] == "affinity"
    assert other.headers["x-switchyard-reason"] == "classifier"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"[", "invalid_json"),
        (b'{"messages":' + b"[" * 1000 + b"]" * 1000 + b"}", "invalid_value"),
        (b"", "invalid_json"),
        (b"\xff", "invalid_json"),
        (b"[]", "invalid_json"),
        (b"{}", "invalid_value"),
        (b'{"messages": []}', "invalid_value"),
        (b'{"model": "auto", "prompt": 3}', "invalid_value"),
        (b'{"model": ["auto"], "prompt": "x"}', "invalid_value"),
    ],
)
def test_a_body_that_cannot_be_used_is_rejected_with_a_sentence(
    predictor: Predictor, content: bytes, code: str
) -> None:
    answer = httpx.post(predictor.url, content=content)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, code)
    assert len(error["message"]) > 20


def test_a_body_that_is_too_large_is_rejected(tmp_path: Path) -> None:
    predictor = Predictor(tmp_path, env={"MAX_BODY_BYTES": "1000"})
    try:
        answer = predictor.wait_ready().ask(chat("x" * 2000))
    finally:
        predictor.stop()

    assert answer.status_code == 413
    assert "MAX_BODY_BYTES" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/v2", 200),
        ("/v2/health/live", 200),
        ("/v2/health/ready", 200),
        ("/v1/models/complexity", 200),
        ("/v2/models/complexity", 200),
        ("/v2/models/complexity/ready", 200),
        ("/v2/models/other/ready", 404),
        ("/docs", 404),
    ],
)
def test_probes_get_responses(predictor: Predictor, path: str, status: int) -> None:
    assert httpx.get(predictor.url + path).status_code == status


def test_a_decision_is_counted_and_logged_without_its_prompt(predictor: Predictor) -> None:
    before = predictor.log.stat().st_size
    predictor.ask(chat("Zanzibar is a word of this test."), **{"x-request-id": "r-1"})
    page = httpx.get(f"{predictor.url}/metrics").text
    line = json.loads(predictor.log.read_bytes()[before:].splitlines()[0])

    assert 'routing_decisions_total{reason="classifier",tier="fast"}' in page
    assert 'inference_requests_total{model="complexity",outcome="ok",protocol="openai"}' in page
    assert "routing_share_target 0.35" in page
    assert {"tier", "reason", "score", "share", "seconds"} <= line.keys()
    assert line["request_id"] == "r-1"
    assert "Zanzibar" not in predictor.log.read_text()


def test_the_log_names_only_reasons_of_the_list(predictor: Predictor) -> None:
    lines = [json.loads(line) for line in predictor.log.read_text().splitlines()]
    assert {line["reason"] for line in lines if line["message"] == "decided"} <= set(get_args(Reason))


def test_without_its_file_length_decides_and_the_log_says_so(tmp_path: Path) -> None:
    predictor = Predictor(tmp_path, f"--model_dir={tmp_path}").wait_ready()
    try:
        short, long = predictor.ask(chat("Hi")), predictor.ask(chat("word " * 400))
    finally:
        predictor.stop()

    assert (short.headers["x-switchyard-tier"], long.headers["x-switchyard-tier"]) == ("fast", "reasoning")
    assert "length decides instead" in predictor.log.read_text()


def test_a_conversation_survives_a_kill(tmp_path: Path) -> None:
    first = Predictor(tmp_path).wait_ready()
    first.ask(chat(HARD))
    turn = chat(HARD, "She has 28.", "Thanks!")
    # A response does not wait until its conversation is in the store.
    _until(lambda: first.ask(turn).headers["x-switchyard-reason"] == "affinity")
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    second = Predictor(tmp_path).wait_ready()
    try:
        second.ask(chat(EASY))  # opens the store, for which a request waits a quarter of a second at most
        answer = second.ask(turn)
    finally:
        second.stop()

    assert answer.headers["x-switchyard-reason"] == "affinity"


def test_a_request_in_flight_gets_a_response_before_it_stops(tmp_path: Path) -> None:
    predictor = Predictor(tmp_path).wait_ready()
    body = json.dumps(chat(EASY)).encode()
    head = f"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", predictor.port), timeout=DEADLINE) as connection:
        connection.sendall(head + body[:10])
        _until(lambda: 'requests_in_flight{model="complexity"} 1.0' in httpx.get(f"{predictor.url}/metrics").text)
        predictor.process.send_signal(signal.SIGTERM)
        _until(lambda: not _listens(predictor.port))
        connection.sendall(body[10:])
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")

    assert predictor.stop() == 0


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--share=1.5"], "is not a share"),
        (["--share=much"], "is not a share"),
        (["--fast_window=0"], "not a positive whole number"),
        (["--scorer=best"], "invalid choice"),
    ],
)
def test_a_command_line_that_cannot_be_used_is_rejected(flags: list[str], sentence: str) -> None:
    command = [sys.executable, "-m", "predictors.complexity", "--model_name=x", "--fast=a", "--reasoning=b", *flags]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)

    assert ended.returncode == 2
    assert sentence in ended.stderr


def _until(condition: Any) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
