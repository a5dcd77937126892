"""A steady load of bounded requests whose every outcome is judged: a whole answer, or an error that says try again."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol

import httpx

from tests.live.processes import DEADLINE

TOKENS = 32
CLIENTS = 4

RETRYABLE = (502, 503, 504)
QUESTION = "Ana has 3 apples and gets 4 more. How many?"

Ask = Callable[[httpx.Client, str], tuple[str, str]]


class Front(Protocol):
    """Where requests go."""

    @property
    def url(self) -> str:
        """The base of every address, without a slash at its end."""


@dataclass
class Outcomes:
    """``answered`` and ``rejected`` count; ``wrong`` says what should not happen."""

    answered: int = 0
    rejected: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Load:
    """Clients in threads that ask one after the other, whole answers, streams and V2, until the block is left."""

    def __init__(self, front: Front, model: str) -> None:
        self._url = front.url
        self._model = model
        self._lock = threading.Lock()
        self._leaving = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(KINDS[n % len(KINDS)],)) for n in range(CLIENTS)]
        self.seen = Outcomes()

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self._leaving.set()
        for thread in self._threads:
            thread.join()

    def _run(self, ask: Ask) -> None:
        with httpx.Client(base_url=self._url, timeout=DEADLINE, trust_env=False) as client:
            while not self._leaving.is_set():
                try:
                    self._count(*ask(client, self._model))
                except Exception as err:
                    self._count("wrong", f"{ask.__name__}: {err!r}")
                    return

    def _count(self, outcome: str, what: str) -> None:
        with self._lock:
            if outcome == "answered":
                self.seen.answered += 1
            else:
                (self.seen.rejected if outcome == "rejected" else self.seen.wrong).append(what)
        if outcome != "answered":
            self._leaving.wait(1.0 if "retry-after" in what else 0.25)  # as a client would


def ask_plain(client: httpx.Client, model: str) -> tuple[str, str]:
    """One whole answer."""
    try:
        answer = client.post("/v1/chat/completions", json=_chat(model))
    except httpx.TransportError as err:
        return _transport(err)
    if answer.status_code != 200:
        return _rejection(answer)
    payload = answer.json()
    whole = payload["usage"]["completion_tokens"] == TOKENS and payload["choices"][0]["finish_reason"] == "length"
    return ("answered", "") if whole else ("wrong", f"a short answer: {payload}")


def ask_stream(client: httpx.Client, model: str) -> tuple[str, str]:
    """One answer as events; cut short, it must not look complete."""
    text, cut, began = "", "", False
    try:
        with client.stream(
            "POST", "/v1/chat/completions", json=_chat(model, stream=True, stream_options={"include_usage": True})
        ) as answer:
            if answer.status_code != 200:
                answer.read()
                return _rejection(answer)
            began = True
            for chunk in answer.iter_text():
                text += chunk
    except httpx.TransportError as err:
        if not began or isinstance(err, httpx.TimeoutException):
            return _transport(err)
        cut = f"broken off: {err!r}"
    return judge_stream(text, cut)


def judge_stream(text: str, cut: str) -> tuple[str, str]:
    """``cut`` is how the connection broke, or empty."""
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    done = lines[-1:] == ["[DONE]"]
    # Only the last event may be incomplete, when the connection was cut within it.
    events = [json.loads(line) for line in (lines[:-1] if done or cut else lines)]
    errors = [event["error"] for event in events if "error" in event]
    if errors:
        return ("rejected", errors[0]["message"]) if errors[0]["message"] else ("wrong", f"an empty error: {text}")
    if not done:
        return "rejected", cut or "ended without [DONE]"
    usage: dict[str, int] = next((event["usage"] for event in events if event.get("usage")), {})
    return ("answered", "") if usage.get("completion_tokens") == TOKENS else ("wrong", f"a short stream: {text}")


def ask_v2(client: httpx.Client, model: str) -> tuple[str, str]:
    """One V2 inference."""
    asked = {"name": "text_input", "datatype": "BYTES", "shape": [1], "data": [QUESTION]}
    body = {"inputs": [asked], "parameters": {"max_tokens": TOKENS, "ignore_eos": True}}
    try:
        answer = client.post(f"/v2/models/{model}/infer", json=body)
    except httpx.TransportError as err:
        return _transport(err)
    if answer.status_code != 200:
        return _rejection(answer)
    outputs = {output["name"]: output["data"] for output in answer.json()["outputs"]}
    return ("answered", "") if outputs["completion_tokens"] == [TOKENS] else ("wrong", f"a short answer: {outputs}")


KINDS: tuple[Ask, ...] = (ask_plain, ask_stream, ask_v2, ask_stream)


def _chat(model: str, **options: object) -> dict[str, object]:
    message = {"role": "user", "content": QUESTION}
    return {"model": model, "messages": [message], "max_tokens": TOKENS, "ignore_eos": True, **options}


def _transport(err: httpx.TransportError) -> tuple[str, str]:
    """A connection that is refused, reset or closed may be tried again; one that hangs is a fault."""
    return "wrong" if isinstance(err, httpx.TimeoutException) else "rejected", repr(err)


def _rejection(answer: httpx.Response) -> tuple[str, str]:
    what = f"{answer.status_code} {dict(answer.headers)} {answer.text}"
    if answer.status_code not in RETRYABLE:
        return "wrong", what
    error = answer.json().get("error")
    if isinstance(error, str):  # V2 has a sentence and nothing else
        return ("rejected", what) if error else ("wrong", what)
    told = error["message"] and (answer.status_code != 503 or {"retry-after", "x-should-retry"} & {*answer.headers})
    return ("rejected", what) if told else ("wrong", what)


def answered_since(load: Load) -> Callable[[], bool]:
    """Whether every client had the time to get an answer since this call."""
    before = load.seen.answered
    return lambda: load.seen.answered >= before + 2 * CLIENTS or bool(load.seen.wrong)
