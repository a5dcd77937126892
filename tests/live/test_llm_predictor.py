"""The language-model predictor as its clients meet it: both protocols, errors, leaving clients, stops and kills."""

import http.client
import json
import os
import queue
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, cast

import httpx
import numpy as np
import openai
import pytest
import tritonclient.grpc
import tritonclient.http

from tests.live.processes import KEY, Predictor, Preload, alive, descendants, eventually, fetch

pytestmark = pytest.mark.live

QUESTION = "Ana has 3 apples and gets 4 more. How many apples does Ana have?"
LONG: dict[str, Any] = {"max_tokens": 900, "ignore_eos": True}


@contextmanager
def openai_client(predictor: Predictor) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{predictor.url}/openai/v1", api_key=KEY, max_retries=0) as client:
        yield client


@contextmanager
def open_stream(predictor: Predictor, **body: object) -> Iterator[http.client.HTTPResponse]:
    """A streamed chat whose first event has arrived; leaving the block hangs up."""
    connection = http.client.HTTPConnection("127.0.0.1", predictor.http, timeout=60)
    with closing(connection):
        chat = {"model": predictor.name, "messages": [{"role": "user", "content": QUESTION}], "stream": True, **body}
        connection.request(
            "POST", "/openai/v1/chat/completions", json.dumps(chat), {"content-type": "application/json"}
        )
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.readline().startswith(b"data: ")
        yield answer
        answer.close()


def v2(
    tensor: str = "text_input", datatype: str = "BYTES", texts: object = (QUESTION,), **parameters: object
) -> object:
    rows = list(texts)  # type: ignore[call-overload]
    return {
        "inputs": [{"name": tensor, "datatype": datatype, "shape": [len(rows)], "data": rows}],
        "parameters": parameters,
    }


def test_the_openai_sdk_gets_a_response_with_usage(chat: Predictor) -> None:
    with openai_client(chat) as client:
        answer = client.chat.completions.create(model="chat-fast", messages=[{"role": "user", "content": QUESTION}])
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 0


def test_the_first_log_probabilities_come_as_fast_as_others(chat: Predictor) -> None:
    body = {"model": "chat-fast", "prompt": "Hello", "max_tokens": 3, "temperature": 1, "logprobs": 1, "n": 3}
    before = chat.processor_seconds()
    status, answer = fetch(f"{chat.url}/openai/v1/completions", body)
    assert status == 200, answer
    assert chat.processor_seconds() - before < 2.5  # 3 to 20 s where the engine compiles its kernel first


def test_items_that_are_wrong_cost_no_more_than_the_first_of_them(chat: Predictor) -> None:
    item = {"role": "user", "content": [{"type": "input_text", "text": 5}]}
    before = chat.processor_seconds()
    with openai_client(chat) as client, pytest.raises(openai.BadRequestError) as rejected:
        client.responses.create(model="chat-fast", input=[item] * 2000)  # type: ignore[list-item]
    assert chat.processor_seconds() - before < 2  # 4 s and 2 GB where the engine validates all of them
    assert rejected.value.param == "input[0]"
    assert rejected.value.message.endswith("Input should be a valid string")


def test_a_stream_says_the_same_as_the_plain_response(chat: Predictor) -> None:
    with openai_client(chat) as client:
        plain = client.chat.completions.create(
            model="chat-fast", messages=[{"role": "user", "content": QUESTION}], temperature=0
        )
        parts = client.chat.completions.create(
            model="chat-fast", messages=[{"role": "user", "content": QUESTION}], temperature=0, stream=True
        )
        text = "".join(part.choices[0].delta.content or "" for part in parts if part.choices)
    assert text == plain.choices[0].message.content


def test_structured_output_follows_its_schema(chat: Predictor) -> None:
    schema = {"type": "object", "properties": {"sum": {"type": "integer", "maximum": 99}}, "required": ["sum"]}
    body = {
        "model": "chat-fast",
        "messages": [{"role": "user", "content": QUESTION}],
        "max_tokens": 100,
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}},
    }
    status, answer = fetch(f"{chat.url}/openai/v1/chat/completions", body)
    assert status == 200, answer
    assert isinstance(json.loads(json.loads(answer)["choices"][0]["message"]["content"])["sum"], int)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/completions", {"model": "chat-fast", "prompt": "Hello", "max_tokens": 3, "logprobs": 1}),
        ("/v1/responses", {"model": "chat-fast", "input": "Hello", "max_output_tokens": 16}),
        ("/v1/messages", {"model": "chat-fast", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 5}),
        ("/tokenize", {"model": "chat-fast", "prompt": "Hello"}),
        ("/detokenize", {"model": "chat-fast", "tokens": [5, 6]}),
    ],
)
def test_every_other_route_of_vllm_is_there(chat: Predictor, path: str, body: object) -> None:
    status, answer = fetch(f"{chat.url}/openai{path}", body)
    assert status == 200, answer


def test_v2_answers_several_texts_in_order_with_their_token_counts(chat: Predictor) -> None:
    status, answer = fetch(
        f"{chat.url}/v2/models/chat-fast/infer", v2(texts=["Hello", QUESTION], temperature=0, max_tokens=40)
    )
    assert status == 200, answer
    outputs = {row["name"]: row["data"] for row in json.loads(answer)["outputs"]}
    single = json.loads(fetch(f"{chat.url}/v2/models/chat-fast/infer", v2(temperature=0, max_tokens=40))[1])
    assert outputs["text_output"][1] == single["outputs"][0]["data"][0]
    assert all(0 < count <= 40 for count in outputs["completion_tokens"])
    assert set(outputs["finish_reason"]) <= {"stop", "length"}


def test_tritonclient_speaks_http_and_grpc_with_it(chat: Predictor) -> None:
    texts = np.array([QUESTION.encode()], dtype=np.object_)
    with closing(tritonclient.http.InferenceServerClient(f"127.0.0.1:{chat.http}")) as http_client:
        asked = tritonclient.http.InferInput("text_input", [1], "BYTES")
        asked.set_data_from_numpy(texts)
        by_http = http_client.infer("chat-fast", [asked], parameters={"temperature": 0}).as_numpy("text_output")
    for port in (chat.grpc, chat.http):  # where Knative opens one port, it takes both
        with closing(tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{port}")) as grpc_client:
            asked_grpc = tritonclient.grpc.InferInput("text_input", [1], "BYTES")
            asked_grpc.set_data_from_numpy(texts)
            answer = grpc_client.infer("chat-fast", [asked_grpc], parameters={"temperature": 0.0})
            assert grpc_client.is_model_ready("chat-fast")
        assert answer.as_numpy("text_output").tolist() == by_http.tolist()
        assert answer.as_numpy("completion_tokens")[0] > 0


def text_input(text: str = QUESTION) -> tritonclient.grpc.InferInput:
    tensor = tritonclient.grpc.InferInput("text_input", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([text.encode()], dtype=np.object_))
    return tensor


def option(name: str, datatype: str, value: object) -> tritonclient.grpc.InferInput:
    """An input of Triton's vLLM backend beside the text."""
    tensor = tritonclient.grpc.InferInput(name, [1], datatype)
    tensor.set_data_from_numpy(np.array([value], dtype=np.object_ if datatype == "BYTES" else None))
    return tensor


def streamed(predictor: Predictor, *requests: dict[str, Any]) -> list[Any]:
    """The responses to requests on one stream, and the sentences of those that failed."""
    seen: queue.Queue[Any] = queue.Queue()
    with closing(tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{predictor.http}")) as client:
        client.start_stream(lambda result, error: seen.put(error or result))
        for request in requests:
            client.async_stream_infer(**{"model_name": predictor.name, "inputs": [text_input()], **request})
        client.stop_stream()  # after the last response
    return [one.message() if isinstance(one, tritonclient.grpc.InferenceServerException) else one for one in seen.queue]


def test_generate_says_what_infer_says_whole_and_in_events(chat: Predictor) -> None:
    whole = json.loads(fetch(f"{chat.url}/v2/models/chat-fast/infer", v2(temperature=0))[1])["outputs"][0]["data"][0]
    body = {"text_input": QUESTION, "parameters": {"temperature": 0}}
    status, answer = fetch(f"{chat.url}/v2/models/chat-fast/generate", {**body, "id": "7"})
    assert status == 200, answer
    row = json.loads(answer)
    assert (row["id"], row["model_name"], row["text_output"], row["finish_reason"]) == ("7", "chat-fast", whole, "stop")
    for path, options in (("generate_stream", {}), ("versions/1/generate_stream", {"stream": True})):
        events = httpx.post(f"{chat.url}/v2/models/chat-fast/{path}", json={**body, **options}, timeout=60)
        assert events.headers["content-type"] == "text/event-stream; charset=utf-8"
        rows = [json.loads(event.removeprefix("data: ")) for event in events.text.strip().split("\n\n")]
        assert len(rows) > 3
        assert "".join(row["text_output"] for row in rows) == whole
        assert [row["finish_reason"] for row in rows] == [""] * (len(rows) - 1) + ["stop"]
        assert rows[-1]["completion_tokens"] == row["completion_tokens"]


def test_tritonclient_streams_tokens_and_an_error_ends_its_own_request_only(chat: Predictor) -> None:
    whole = json.loads(fetch(f"{chat.url}/v2/models/chat-fast/infer", v2(temperature=0))[1])["outputs"][0]["data"][0]
    sampling = option("sampling_parameters", "BYTES", b'{"temperature": "0"}')  # as in the backend's own example
    rows = streamed(
        chat,
        {"request_id": "a", "inputs": [text_input(), sampling, option("stream", "BOOL", True)]},
        {"request_id": "b", "parameters": {"max_tokns": 3}},
        {"request_id": "c", "inputs": [text_input(), sampling, option("stream", "BOOL", False)]},
        {"request_id": "d", "model_name": "nobody"},
    )
    first = [row for row in rows if not isinstance(row, str) and row.get_response().id == "a"]
    assert len(first) > 3
    assert "".join(row.as_numpy("text_output")[0].decode() for row in first) == whole
    final = [row.get_response().parameters["triton_final_response"].bool_param for row in first]
    assert final == [False] * (len(first) - 1) + [True]
    wrong, one, unknown = rows[len(first) :]
    assert "parameter 'max_tokns' is unknown" in wrong
    assert one.as_numpy("text_output")[0].decode() == whole
    assert "nobody" in unknown


def test_what_a_language_model_cannot_do_is_unimplemented_with_a_sentence(chat: Predictor, embed: Predictor) -> None:
    sentences = {
        "get_model_config": "no configuration, statistics or shared memory",
        "get_inference_statistics": "no configuration, statistics or shared memory",
        "get_log_settings": "no configuration, statistics or shared memory",
        "unload_model": "unloaded when the process ends",
    }
    with closing(tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{chat.http}")) as client:
        for name, sentence in sentences.items():
            with pytest.raises(tritonclient.grpc.InferenceServerException, match=sentence) as caught:
                getattr(client, name)(*([] if name == "get_log_settings" else ["chat-fast"]))
            assert caught.value.status() == "StatusCode.UNIMPLEMENTED"
        client.load_model("chat-fast")  # it is loaded
    assert fetch(f"{chat.url}/v2/repository/models/chat-fast/load", {}) == (200, b"")
    assert fetch(f"{chat.url}/v2/repository/models/chat-fast/unload", {})[0] == 501
    assert fetch(f"{embed.url}/v2/models/embed/generate", {"text_input": "x"})[0] == 501
    (embedding,) = streamed(embed, {})
    assert embedding.as_numpy("embedding").shape[0] == 1


def test_the_openai_sdk_streams_by_http_2_from_the_same_port(chat: Predictor) -> None:
    asked: Any = {"model": "chat-fast", "messages": [{"role": "user", "content": QUESTION}], "temperature": 0}
    with openai_client(chat) as client:
        whole = client.chat.completions.create(**asked).choices[0].message.content
    with httpx.Client(http1=False, http2=True, trust_env=False, timeout=60) as http2:
        client = openai.OpenAI(
            base_url=f"{chat.url}/openai/v1", api_key=KEY, max_retries=0, http_client=cast(Any, http2)
        )
        answer = client.chat.completions.with_raw_response.create(**asked, stream=True)
        chunks = [chunk.choices[0].delta.content or "" for chunk in answer.parse()]
    assert answer.http_response.http_version == "HTTP/2"
    assert len(chunks) > 3
    assert "".join(chunks) == whole


def test_embeddings_are_the_same_by_both_protocols(embed: Predictor) -> None:
    with openai_client(embed) as client:
        by_openai = (
            client.embeddings.create(model="embed", input="a small cat", encoding_format="float").data[0].embedding
        )
    status, answer = fetch(f"{embed.url}/v2/models/embed/infer", v2(texts=["a small cat", "a stock market"]))
    assert status == 200, answer
    vectors = json.loads(answer)["outputs"][0]
    assert vectors["shape"] == [2, len(by_openai)]
    assert np.allclose(vectors["data"][: len(by_openai)], by_openai, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"model": "nobody"}, 404),
        ({"temperature": -1}, 400),
        ({"max_tokens": 99999}, 400),
        ({"messages": [{"role": "user", "content": "apples " * 3000}]}, 400),
        ({"messages": "Hello"}, 400),
    ],
)
def test_a_bad_openai_request_gets_an_openai_error(chat: Predictor, change: dict[str, object], status: int) -> None:
    body = {"model": "chat-fast", "messages": [{"role": "user", "content": "Hello"}], **change}
    seen, answer = fetch(f"{chat.url}/openai/v1/chat/completions", body)
    assert seen == status, answer
    assert json.loads(answer)["error"]["message"]


@pytest.mark.parametrize("raw", [b'{"model": ', b'{"model":"chat-fast","messages":[],"temperature":NaN}'])
def test_what_is_no_json_or_no_number_is_rejected(chat: Predictor, raw: bytes) -> None:
    status, answer = fetch(f"{chat.url}/openai/v1/chat/completions", raw=raw)
    assert status == 400, answer
    assert json.loads(answer)["error"]["message"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (v2(tensor="text"), "named 'text_input'"),
        (v2(datatype="FP32", texts=[1.0]), "datatype FP32; use BYTES"),
        (v2(texts=[]), "holds 0 texts"),
        (v2(texts=["apples " * 3000]), "context length"),
        (v2(max_tokns=3), "parameter 'max_tokns' is unknown"),
        (v2(temperature=-1), "temperature"),
        (v2(max_tokens=10**30), "'max_tokens' is a number of more than 64 bits"),
        (v2(seed=-(2**64)), "'seed' is a number of more than 64 bits"),
    ],
)
def test_a_bad_v2_request_gets_a_v2_error_that_says_what_to_do(chat: Predictor, body: object, words: str) -> None:
    status, answer = fetch(f"{chat.url}/v2/models/chat-fast/infer", body)
    assert status == 400, answer
    assert words in json.loads(answer)["error"]


@pytest.mark.parametrize(
    "tensor", [b"\2\0\0\0\xff\xfe", b"\xff\xff\0\0Hello!", b"\1\0"], ids=["no UTF-8", "too long a text", "cut off"]
)
def test_binary_tensors_that_cannot_be_read_are_the_clients_fault(chat: Predictor, tensor: bytes) -> None:
    asked = {"name": "text_input", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(tensor)}}
    text = json.dumps({"inputs": [asked]}).encode()
    headers = {"inference-header-content-length": str(len(text)), "content-type": "application/octet-stream"}
    response = httpx.post(f"{chat.url}/v2/models/chat-fast/infer", content=text + tensor, headers=headers, timeout=60)
    assert response.status_code == 400, response.text
    assert "cannot be read" in response.json()["error"]
    with closing(tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{chat.grpc}")) as client:
        over_grpc = tritonclient.grpc.InferInput("text_input", [1], "BYTES")
        over_grpc._raw_content = tensor
        with pytest.raises(tritonclient.grpc.InferenceServerException) as caught:
            client.infer("chat-fast", [over_grpc])
    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"


def test_a_bad_grpc_request_is_an_invalid_argument(chat: Predictor) -> None:
    with closing(tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{chat.grpc}")) as client:
        asked = tritonclient.grpc.InferInput("text_input", [1], "BYTES")
        asked.set_data_from_numpy(np.array([b"Hello"], dtype=np.object_))
        with pytest.raises(tritonclient.grpc.InferenceServerException) as caught:
            client.infer("chat-fast", [asked], parameters={"temperature": float("nan")})
        with pytest.raises(tritonclient.grpc.InferenceServerException) as unknown:
            client.infer("nobody", [asked])
    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"
    assert unknown.value.status() == "StatusCode.NOT_FOUND"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "text_input must be one text"),
        ({"text_input": "x", "max_tokns": 3}, "parameter 'max_tokns' is unknown"),
        ({"text_input": "x", "parameters": {"temperature": -1}}, "temperature"),
        ({"text_input": "x", "parameters": []}, 'send {"text_input"'),
        ({"text_input": "apples " * 3000}, "context length"),
    ],
)
@pytest.mark.parametrize("path", ["generate", "generate_stream"])
def test_a_bad_request_to_generate_gets_an_error_before_any_event(
    chat: Predictor, path: str, body: object, words: str
) -> None:
    status, answer = fetch(f"{chat.url}/v2/models/chat-fast/{path}", body)
    assert status == 400, answer
    assert words in json.loads(answer)["error"]


@pytest.mark.parametrize("protocol", ["openai stream", "openai plain", "v2", "generate_stream", "gRPC stream"])
def test_a_client_that_disconnects_frees_its_engine_slot(chat: Predictor, protocol: str) -> None:
    before = chat.metric("vllm:generation_tokens_total")
    if protocol == "openai stream":
        with open_stream(chat, **LONG):
            pass
    elif protocol == "gRPC stream":
        with closing(tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{chat.http}")) as client:
            client.start_stream(lambda result, error: None)
            client.async_stream_infer("chat-fast", [text_input()], parameters=LONG)
            eventually(lambda: chat.metric("vllm:num_requests_running") == 1, "the request in the engine")
            client.stop_stream(cancel_requests=True)
    else:
        body: object = v2(**LONG)
        path = "/v2/models/chat-fast/infer"
        if protocol == "generate_stream":
            path, body = f"/v2/models/chat-fast/{protocol}", {"text_input": QUESTION, "parameters": LONG}
        if protocol == "openai plain":
            body = {"model": "chat-fast", "messages": [{"role": "user", "content": QUESTION}], **LONG}
            path = "/openai/v1/chat/completions"
        with closing(http.client.HTTPConnection("127.0.0.1", chat.http)) as connection:
            connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
            eventually(lambda: chat.metric("vllm:num_requests_running") == 1, "the request in the engine")
    eventually(lambda: chat.metric("inference_requests_in_flight") == 0, "no request in flight")
    eventually(lambda: chat.metric("vllm:num_requests_running") == 0, "an empty engine")
    assert chat.metric("vllm:generation_tokens_total") - before < 900


def test_the_promised_metrics_are_there_beside_vllms_own(chat: Predictor) -> None:
    for accept in ("text/plain", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"):  # as Prometheus asks
        text = fetch(f"{chat.url}/metrics", accept=accept)[1].decode()
        promised = ("inference_requests_total", "inference_latency_seconds_bucket", "model_load_time_seconds")
        for name in (*promised, "vllm:num_requests_running"):
            assert f"\n{name}{{" in text
    assert chat.metric("model_load_time_seconds", 'model="chat-fast"') > 0


def test_beyond_its_limit_a_predictor_sheds_with_retry_after(preload: Preload) -> None:
    predictor = Predictor(preload, "chat-fast", MAX_CONCURRENT_REQUESTS="1").wait_ready()
    with closing(http.client.HTTPConnection("127.0.0.1", predictor.http)) as connection, open_stream(predictor, **LONG):
        connection.request("POST", "/v2/models/chat-fast/infer", json.dumps(v2()), {"content-type": "application/json"})
        answer = connection.getresponse()
        answer.read()
    predictor.stop()
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")


def test_sigterm_finishes_what_is_in_flight_and_leaves_nothing(preload: Preload) -> None:
    predictor = Predictor(preload, "chat-fast").wait_ready()
    family = [predictor.pid, *descendants(predictor.pid)]
    assert len(family) > 1
    with open_stream(predictor, max_tokens=300, ignore_eos=True) as answer:
        os.kill(predictor.pid, signal.SIGTERM)
        rest = answer.read()
    assert rest.rstrip().endswith(b"data: [DONE]")
    assert predictor.exit() == 0
    eventually(lambda: not any(map(alive, family)), "every process of the predictor gone")


def test_a_killed_engine_ends_its_predictor_which_says_so(preload: Preload) -> None:
    predictor = Predictor(preload, "chat-fast").wait_ready()
    engine = descendants(predictor.pid)
    with open_stream(predictor, **LONG) as answer:
        os.kill(engine[0], signal.SIGKILL)
        rest = answer.read()
    assert b"[DONE]" not in rest or b"error" in rest
    assert predictor.exit() == 1
    assert "vLLM's engine process has died" in predictor.tail()


def test_a_killed_predictor_takes_its_engine_with_it(preload: Preload) -> None:
    predictor = Predictor(preload, "chat-fast").wait_ready()
    engine = descendants(predictor.pid)
    os.kill(predictor.pid, signal.SIGKILL)
    eventually(lambda: not any(map(alive, engine)), "the end of the engine")
    predictor.stop()


def test_four_bits_on_a_cpu_are_rejected_before_anything_is_loaded(preload: Preload) -> None:
    predictor = Predictor(preload, "chat-fast", USE_4BIT="true")
    assert predictor.exit() == 2
    assert "needs an NVIDIA GPU with CUDA" in predictor.tail()


def test_a_flag_that_vllm_does_not_know_is_named(preload: Preload) -> None:
    predictor = Predictor(preload, "chat-fast", "--max-modle-len=3")
    assert predictor.exit() == 2
    assert "--max-modle-len" in predictor.tail()


def test_what_vllm_rejects_is_said_in_its_own_sentence_last(preload: Preload) -> None:
    predictor = Predictor(preload, "chat-fast", "--max-model-len=9999999")
    assert predictor.exit() == 2
    last = predictor.tail().rstrip().splitlines()[-1]
    assert "with these flags: User-specified max_model_len (9999999) is greater than the derived" in last
    assert "pydantic" not in last


def test_a_port_in_use_is_reported_at_once(preload: Preload, chat: Predictor) -> None:
    predictor = Predictor(preload, "chat-fast", f"--http_port={chat.http}")
    assert predictor.exit() == 1
    assert f"--http_port {chat.http} cannot be bound" in predictor.tail()


def test_many_clients_at_once_get_their_own_answers(chat: Predictor) -> None:
    questions = [f"Ana has {n} apples and gets 1 more. How many apples does Ana have?" for n in range(24)]
    alone = json.loads(
        fetch(f"{chat.url}/v2/models/chat-fast/infer", v2(texts=questions, temperature=0, max_tokens=30))[1]
    )["outputs"][0]["data"]
    answers: dict[int, str] = {}

    def ask(number: int) -> None:
        answer = fetch(
            f"{chat.url}/v2/models/chat-fast/infer", v2(texts=[questions[number]], temperature=0, max_tokens=30)
        )[1]
        answers[number] = json.loads(answer)["outputs"][0]["data"][0]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answers[number] for number in range(24)] == alone
