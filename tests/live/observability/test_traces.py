"""One request is one trace, whole, read back from a real Jaeger behind a real collector."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import httpx
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http

from switchyard.telemetry.trace_context import trace_id_of
from tests.leaks.finding import keys_in
from tests.live.observability.traffic import SECRET
from tests.live.platform import Platform, http_client
from tests.live.processes import KEY, ROOT, eventually, fetch

pytestmark = pytest.mark.live

STORY = f"{SECRET}. " * 60  # longer than a block of the KV cache, of 128 tokens on a CPU
IMAGE = (ROOT / "tests/testdata/sum.png").read_bytes()
BEARER = {"authorization": f"Bearer {KEY}"}
Span = Mapping[str, Any]


class Trace:
    """The spans of one trace, as Jaeger has them."""

    def __init__(self, platform: Platform, trace_id: str) -> None:
        self._url = f"{platform.record()['observers']['jaeger']}/api/traces/{trace_id}"
        self._spans: dict[str, Span] = {}
        self._services: Mapping[str, str] = {}

    def read(self) -> None:
        """Ask Jaeger again; a trace that has not come yet has no spans."""
        status, body = fetch(self._url)
        data = (json.loads(body)["data"] if status == 200 else None) or [{"spans": [], "processes": {}}]
        self._spans = {span["spanID"]: span for span in data[0]["spans"]}
        self._services = {key: row["serviceName"] for key, row in data[0]["processes"].items()}

    def named(self, name: str) -> list[Span]:
        return [span for span in self._spans.values() if span["operationName"] == name]

    def path(self, span: Span) -> list[str]:
        """The names from the first span of the trace to this one."""
        above = next((one["spanID"] for one in span["references"]), None)
        parent = self._spans.get(above or "")
        return [*(self.path(parent) if parent else []), span["operationName"]]

    def service(self, name: str) -> str:
        return self._services[self.named(name)[0]["processID"]]

    def wait(self, *path: str) -> "Trace":
        """Wait until spans of these names stand below each other, in this order and maybe others between them."""

        def has() -> bool:
            self.read()
            return any(_in_order(path, self.path(span)) for span in self.named(path[-1]))

        try:
            eventually(has, f"a trace of {' / '.join(path)}")
        except AssertionError as err:
            tree = "\n".join(" / ".join(self.path(span)) for span in self._spans.values())
            raise AssertionError(f"{err}; there is\n{tree}") from err
        return self


def _in_order(wanted: Sequence[str], names: Sequence[str]) -> bool:
    rest = iter(names)
    return all(name in rest for name in wanted)


def tags(span: Span) -> dict[str, Any]:
    return {tag["key"]: tag["value"] for tag in span["tags"]}


def of(platform: Platform, response: httpx.Response) -> Trace:
    return Trace(platform, trace_id_of(response.headers["traceresponse"]))


def chat(client: httpx.Client, model: str, content: str, **fields: Any) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": 4, **fields}
    response = client.post("/v1/chat/completions", json=body)
    assert response.status_code == 200, response.text
    return response


def test_a_model_that_slept_says_how_long_it_took_to_wake(observed: Platform, first_embedding: httpx.Response) -> None:
    assert first_embedding.status_code == 200, first_embedding.text
    gateway = "POST /v1/embeddings"
    trace = of(observed, first_embedding).wait(gateway, "activator embed", "wake embed")
    trace.wait(gateway, "activator embed", "embeddings embed", "llm_request")
    (activator,) = trace.named("activator embed")
    assert tags(activator)["switchyard.wake_seconds"] > 0.1
    (predictor,) = trace.named("embeddings embed")
    assert tags(predictor)["gen_ai.usage.input_tokens"] > 0
    assert {trace.service(name) for name in ("embeddings embed", "llm_request")} == {"embed"}


def test_a_chat_says_what_it_used_and_what_the_engine_had_cached(observed: Platform) -> None:
    with http_client(observed) as client:
        chat(client, "chat-fast", STORY)
        response = chat(client, "chat-fast", STORY, stream=True)
    gateway = "POST /v1/chat/completions"
    trace = of(observed, response).wait(gateway, "activator chat-fast", "chat chat-fast", "llm_request")
    said = tags(trace.named(gateway)[0])
    assert (said["switchyard.outcome"], said["http.response.status_code"]) == ("ok", 200)
    assert (said["gen_ai.operation.name"], said["gen_ai.request.model"]) == ("chat", "chat-fast")
    assert said["switchyard.request_id"] == response.headers["x-request-id"]
    assert (said["switchyard.tenant"], said["switchyard.key_id"]) == ("acme", "acme-key")
    assert said["gen_ai.response.time_to_first_chunk"] > 0
    predictor, engine = tags(trace.named("chat chat-fast")[0]), tags(trace.named("llm_request")[0])
    assert predictor["gen_ai.usage.input_tokens"] == engine["gen_ai.usage.prompt_tokens"]
    assert predictor["gen_ai.usage.output_tokens"] == engine["gen_ai.usage.completion_tokens"] == 4
    assert predictor["gen_ai.usage.cache_read.input_tokens"] >= 128
    assert predictor["switchyard.cache"] == "hit"


def test_a_graph_shows_its_steps_the_decision_and_the_model_that_it_chose(observed: Platform) -> None:
    with http_client(observed) as client:
        response = chat(client, "auto", "Hello")
    trace = of(observed, response).wait("POST /v1/chat/completions", "activator auto", "graph", "complexity")
    (decided,) = trace.named("complexity")
    tier = tags(decided)["switchyard.tier"]
    model = {"fast": "chat-fast", "reasoning": "chat-reasoning"}[tier]
    trace.wait("graph", f"activator {model}", f"chat {model}", "llm_request")
    steps = [name for name in trace.path(trace.named(f"chat {model}")[0]) if name.startswith("step ")]
    assert steps
    assert response.headers["x-switchyard-tier"] == tier


def test_triton_shows_the_steps_inside_a_model_by_rest_and_by_grpc(observed: Platform) -> None:
    parent = "00-{:032x}-00000000000000aa-01"
    rest, rpc = parent.format(time.time_ns()), parent.format(time.time_ns() + 1)
    for module, target, traceparent in (
        (tritonclient.http, observed.url.removeprefix("http://"), rest),
        (tritonclient.grpc, observed.grpc_target, rpc),
    ):
        image = module.InferInput("image", [1], "BYTES")
        image.set_data_from_numpy(np.array([IMAGE], dtype=np.object_))
        client = module.InferenceServerClient(target)
        client.infer("ocr", [image], headers={"traceparent": traceparent, **BEARER})
        client.close()
    for traceparent, gateway in (
        (rest, "POST /v2/models/{model}/infer"),
        (rpc, "inference.GRPCInferenceService/ModelInfer"),
    ):
        trace = Trace(observed, trace_id_of(traceparent)).wait(gateway, "infer", "InferRequest", "ocr")
        for step in ("image-decode", "ocr-detection", "ocr-recognition"):
            trace.wait(gateway, "InferRequest", "ocr", step, "compute")
        (predictor,) = trace.named("infer")
        assert (tags(predictor)["switchyard.model"], tags(predictor)["switchyard.outcome"]) == ("ocr", "ok")


def test_a_call_by_grpc_reaches_the_engine_of_a_language_model(observed: Platform) -> None:
    traceparent = f"00-{time.time_ns():032x}-00000000000000aa-01"
    text = tritonclient.grpc.InferInput("text_input", [1], "BYTES")
    text.set_data_from_numpy(np.array([SECRET.encode()], dtype=np.object_))
    client = tritonclient.grpc.InferenceServerClient(observed.grpc_target)
    client.infer("chat-fast", [text], headers={"traceparent": traceparent, **BEARER}, parameters={"max_tokens": 2})
    client.close()
    trace = Trace(observed, trace_id_of(traceparent))
    trace.wait("inference.GRPCInferenceService/ModelInfer", "text_completion chat-fast", "llm_request")
    (gateway,) = trace.named("inference.GRPCInferenceService/ModelInfer")
    assert (tags(gateway)["rpc.system.name"], tags(gateway)["rpc.response.status_code"]) == ("grpc", "OK")


def test_an_error_and_a_client_that_left_are_told_apart(observed: Platform) -> None:
    with http_client(observed) as client:
        rejected = client.post("/v1/chat/completions", json={"model": "no-such", "messages": []})
        body = {"model": "chat-fast", "messages": [{"role": "user", "content": SECRET}], "max_tokens": 400}
        with client.stream("POST", "/v1/chat/completions", json={**body, "stream": True}) as response:
            next(response.iter_bytes())
        cancelled = response
    gateway = "POST /v1/chat/completions"
    for answer, outcome in ((rejected, "rejected"), (cancelled, "cancelled")):
        said = tags(of(observed, answer).wait(gateway).named(gateway)[0])
        assert said["switchyard.outcome"] == outcome
        assert "error" not in said
    assert tags(of(observed, rejected).wait(gateway).named(gateway)[0])["error.type"] == "model_not_found"
    trace = of(observed, cancelled).wait(gateway, "chat chat-fast")
    assert tags(trace.named("chat chat-fast")[0])["switchyard.outcome"] == "cancelled"


def test_exemplars_lead_from_prometheus_to_a_trace(observed: Platform) -> None:
    with http_client(observed) as client:
        response = chat(client, "chat-fast", "Hello")
    wanted, now = trace_id_of(response.headers["traceresponse"]), int(time.time())
    query = urlencode({"query": "gateway_request_seconds_bucket", "start": now - 60, "end": now + 60})
    url = f"{observed.record()['observers']['prometheus']}/api/v1/query_exemplars?{query}"

    def found() -> bool:
        rows = json.loads(fetch(url)[1])["data"]
        return wanted in {one["labels"]["trace_id"] for row in rows for one in row["exemplars"]}

    eventually(found, "the exemplar of the chat")


def test_no_span_holds_what_was_said_or_a_key(observed: Platform) -> None:
    jaeger = observed.record()["observers"]["jaeger"]
    services = json.loads(fetch(f"{jaeger}/api/services")[1])["data"]
    assert {"gateway", "activator", "graph", "complexity", "chat-fast", "embed"} <= set(services)
    for service in services:
        text = fetch(f"{jaeger}/api/traces?{urlencode({'service': service, 'limit': 200})}")[1]
        assert SECRET.encode() not in text, service
        assert KEY.encode() not in text, service
        assert keys_in(text) == set(), service
