"""What a call is taken to need before it runs."""

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.catalog import Kind, Model, State
from switchyard.gateway.call import Asked, Call, Edge
from switchyard.gateway.quota import estimates
from switchyard.gateway.quota.claims import Amounts
from switchyard.gateway.quota.estimates import Estimates, asked_output, is_limited
from switchyard.gateway.routes.table import ROUTES, RPC_ROUTES, Route
from switchyard.http.usage import Usage

BY_PATH = {(route.method, route.path): route for route in ROUTES}
CHAT = BY_PATH["POST", "/v1/chat/completions"]


def call(
    body: bytes = b"",
    *,
    route: Route = CHAT,
    kind: Kind = "llm",
    context: int | None = None,
    asked: int | None = None,
    choices: int = 1,
) -> Call:
    made = Call(
        cast(Edge, None),
        route,
        {},
        method=b"POST",
        path=b"",
        query=b"",
        headers=[],
        fields={},
        request_id=b"",
        started=0,
    )
    made.body = body
    made.asked = Asked(asked, choices)
    made.model = Model(name="m", kind=kind, url="", context_length=context, state=State(phase="ready"))
    return made


@pytest.mark.parametrize(
    ("payload", "asked"),
    [
        ({}, (None, 1)),
        ({"max_tokens": 7}, (7, 1)),
        ({"max_completion_tokens": 7, "max_tokens": 3}, (7, 1)),
        ({"max_output_tokens": 9}, (9, 1)),
        ({"max_tokens": 7, "n": 3}, (7, 3)),
        ({"max_tokens": 7, "n": 2, "best_of": 4}, (7, 4)),
        ({"n": 3}, (None, 3)),
        ({"max_tokens": 7, "n": 10**30}, (7, 16_384)),
        ({"max_tokens": None, "n": None}, (None, 1)),
        ({"max_tokens": "7"}, (None, 1)),
        ({"max_tokens": -1}, (None, 1)),
        ({"min_tokens": 900}, (900, 1)),
        ({"min_tokens": 900, "max_tokens": 1000}, (1000, 1)),
        ({"ignore_eos": True}, (131_072, 1)),
        ({"ignore_eos": True, "max_tokens": 5}, (5, 1)),
    ],
)
def test_output_is_what_the_request_limits_itself_to(payload: dict[str, Any], asked: tuple[int | None, int]) -> None:
    assert asked_output(payload) == asked


def test_each_choice_may_be_as_long_as_the_model_can() -> None:
    assert Estimates().of(call(asked=400, choices=20, context=2048)).output_tokens == 8000
    assert Estimates().of(call(asked=4000, choices=20, context=2048)).output_tokens == 40_960
    assert Estimates().of(call(choices=3)).output_tokens == 1536


def test_the_most_that_a_call_may_take_is_what_it_asks_for_whatever_calls_used_of_late() -> None:
    learned = Estimates()
    learned.learn(call(), Usage(10, 100))
    for one, most in ((call(asked=4096), 4096), (call(asked=10**9, context=2048), 2048), (call(), 101)):
        estimate = learned.of(one)
        assert learned.most(one, estimate) == estimate._replace(output_tokens=most)
    image = call(route=BY_PATH["POST", "/v1/ocr"], kind="vision", asked=9)
    assert learned.most(image, learned.of(image)) == learned.of(image)


def test_input_is_guessed_from_the_bodys_size_and_is_no_longer_than_the_model() -> None:
    assert Estimates().of(call(bytes(4000), asked=5)) == Amounts(1001, 5)
    assert Estimates().of(call(bytes(4_000_000), asked=5, context=4096)) == Amounts(4096, 5)
    assert Estimates().of(call(bytes(400), asked=10**9, context=4096)) == Amounts(101, 4096)


def test_a_route_and_model_that_used_little_of_late_reserve_little_and_forget_a_peak() -> None:
    learned = Estimates()
    assert learned.of(call()).output_tokens == 512
    learned.learn(call(), Usage(10, 100))
    assert learned.of(call(asked=4096)).output_tokens == 101
    assert learned.of(call(asked=7)).output_tokens == 7
    assert learned.of(call(route=BY_PATH["POST", "/v1/messages"], asked=4096)).output_tokens == 4096
    for _ in range(300):
        learned.learn(call(), Usage(10, 20))
    assert learned.of(call(asked=4096)).output_tokens == 21


def test_embeddings_have_no_output_vision_no_tokens_and_counting_tokens_nothing() -> None:
    assert Estimates().of(call(bytes(40), kind="embedding", asked=9)) == Amounts(11)
    assert Estimates().of(call(bytes(40), route=BY_PATH["POST", "/v1/ocr"], kind="vision")) == Amounts(
        inferences=1, pixels=1_000_000
    )
    assert Estimates().of(call(bytes(40), route=BY_PATH["POST", "/tokenize"])) == Amounts()


def test_batches_and_images_of_late_are_what_the_next_call_reserves() -> None:
    learned, image = Estimates(), call(route=BY_PATH["POST", "/v1/ocr"], kind="vision")
    learned.learn(image, Usage(inferences=16, pixels=4_000_000))
    assert learned.of(image) == Amounts(inferences=16, pixels=4_000_000)
    for _ in range(1000):
        learned.learn(image, Usage(inferences=1, pixels=100))
    assert learned.of(image) == Amounts(inferences=1, pixels=100)
    graph = call(kind="graph")
    learned.learn(graph, Usage(inferences=2, pixels=300))
    assert (learned.of(graph).inferences, learned.of(graph).pixels) == (2, 300)


def test_what_is_learned_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimates, "_ENTRIES", 3)
    learned = Estimates()
    for number in range(10):
        one = call()
        one.model = Model(name=str(number), kind="llm", url="", state=State(phase="ready"))
        learned.learn(one, Usage(1, 1))
    assert len(learned._seen) <= 3


@given(
    st.integers(0, 10**7), st.none() | st.integers(1, 10**12), st.none() | st.integers(1, 10**6), st.integers(0, 10**9)
)
def test_estimates_are_bounded_whatever_is_asked(size: int, asked: int | None, context: int | None, seen: int) -> None:
    learned = Estimates()
    learned.learn(call(), Usage(0, seen))
    one = call(bytes(size), asked=asked, context=context)
    found = learned.of(one)
    most = context or 131_072
    assert 1 <= found.input_tokens <= most
    assert 1 <= found.output_tokens <= learned.most(one, found).output_tokens <= most


def test_inference_is_limited_and_questions_about_models_are_not() -> None:
    limited = {route.label for route in (*ROUTES, *RPC_ROUTES) if is_limited(route)}
    assert {
        "/v1/chat/completions",
        "/v1/embeddings",
        "/v1/ocr",
        "/v2/models/{model}/infer",
        "grpc ModelInfer",
    } <= limited
    assert not limited & {"/v1/models", "/v2/models/{model}", "grpc ModelMetadata", "grpc ModelReady", "/metrics"}
    assert not limited & {"/v2/repository/models/{model}/load", "/v2/repository/index"}
