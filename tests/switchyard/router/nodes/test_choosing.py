"""Switch and Splitter: which step runs, and what its answer becomes."""

import json
from collections import Counter

import pytest

from switchyard.router.nodes.choosing import percent
from tests.switchyard.router.running import always, node, raw, router, services


async def test_a_switch_runs_the_first_step_whose_condition_holds() -> None:
    async with services() as behind:
        steps = [
            behind.step("code", condition='[@this].#(model=="code")'),
            behind.step("chat", condition="model"),
            behind.step("never", condition="model"),
        ]
        async with router(behind, {"root": node("Switch", *steps)}) as one:
            assert (await one.post({"model": "code"})).json()["from"] == "code"
            assert (await one.post({"model": "other"})).json()["from"] == "chat"
            assert behind.names == ["code", "chat"]


async def test_a_step_without_a_condition_is_never_chosen_by_a_switch() -> None:
    async with services() as behind:
        steps = [behind.step("open"), behind.step("chat", condition="model")]
        async with router(behind, {"root": node("Switch", *steps)}) as one:
            assert (await one.post({"model": "m"})).json()["from"] == "chat"


async def test_no_match_is_a_404_that_names_the_node_however_deep_it_is() -> None:
    async with services() as behind:
        nodes = {
            "root": node("Sequence", behind.step("first"), {"name": "deep", "nodeName": "inner"}),
            "inner": node("Switch", behind.step("chat", condition="model")),
        }
        async with router(behind, nodes) as one:
            answer = await one.post({"input": 1})
            assert answer.status_code == 404
            cause = "None of the routes matched with the switch condition of node inner"
            assert answer.json() == {"error": "Failed to process request", "cause": cause}
            assert one.metric('graph_node_unmatched_total{node="inner"} 1.0')
            assert one.metric('graph_requests_total{code="404"} 1.0')


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"not json", "the body is not JSON: it cannot be parsed"),
        (b'\xef\xbb\xbf{"a": 1}', "the body begins with a byte order mark (BOM); send UTF-8 without one"),
        ('{"a": 1}'.encode("utf-16"), "the body is UTF-16; send JSON in UTF-8"),
    ],
    ids=["a text", "a BOM", "UTF-16"],
)
async def test_a_body_that_is_no_json_matches_nothing(body: bytes, why: str) -> None:
    async with services() as behind, router(behind, {"root": node("Switch", behind.step("a", condition="a"))}) as one:
        answer = await one.http.post("/", content=body)
        assert answer.status_code == 404
        assert answer.json()["cause"] == f"node root cannot choose a step: {why}"


@pytest.mark.parametrize(
    ("body", "status"),
    [(b'{"a":[' + b"[]," * 262_144 + b"0]}", 413), (b"[" * 1000 + b"]" * 1000, 400)],
    ids=["many parts", "deep"],
)
async def test_a_body_that_is_costly_to_look_into_is_rejected(body: bytes, status: int) -> None:
    async with services() as behind, router(behind, {"root": node("Switch", behind.step("a", condition="a"))}) as one:
        answer = await one.http.post("/", content=body)
        assert (answer.status_code, behind.names) == (status, [])
        assert "the body" in answer.json()["cause"]


async def test_a_large_body_is_looked_into_like_a_small_one() -> None:
    async with services() as behind:
        steps = [behind.step("code", condition='[@this].#(model=="code")'), behind.step("chat", condition="model")]
        async with router(behind, {"root": node("Switch", *steps)}) as one:
            for model in ("code", "chat"):
                assert (await one.post({"model": model, "text": "x" * 1_000_000})).json()["from"] == model


@pytest.mark.parametrize("kind", ["Switch", "Splitter"])
@pytest.mark.parametrize("dependency", ["Soft", "Hard"])
async def test_the_chosen_steps_status_headers_and_body_pass_through(kind: str, dependency: str) -> None:
    async with services(down=always(429, {"error": "busy"}, (b"retry-after", b"7"))) as behind:
        step = behind.step("down", condition="model", weight=100, dependency=dependency)
        async with router(behind, {"root": node(kind, step)}) as one:
            answer = await one.post({"model": "m"})
            assert (answer.status_code, answer.json()) == (429, {"error": "busy"})
            assert answer.headers["retry-after"] == "7"
            assert answer.headers["content-type"] == "application/json"


async def test_a_step_may_be_a_node_of_its_own() -> None:
    async with services() as behind:
        nodes = {
            "root": node("Switch", {"name": "to", "nodeName": "inner", "condition": "model"}),
            "inner": node("Splitter", behind.step("leaf", weight=100)),
        }
        async with router(behind, nodes) as one:
            assert (await one.post({"model": "m"})).json()["from"] == "leaf"
            for name in ('node="root",step="to"', 'node="inner",step="leaf"'):
                assert one.metric(f'graph_step_requests_total{{code="200",{name}}} 1.0')


async def test_a_splitter_follows_its_weights() -> None:
    async with services() as behind:
        steps = [behind.step("most", weight=75), behind.step("some", weight=25), behind.step("none", weight=0)]
        async with router(behind, {"root": node("Splitter", *steps)}) as one:
            for _ in range(400):
                await one.post()
            counts = Counter(behind.names)
            assert 250 < counts["most"] < 350  # 100 of 400 expected for the other, within six standard deviations
            assert counts["none"] == 0


def test_percent_is_from_0_to_99() -> None:
    assert {percent() for _ in range(5000)} == set(range(100))


async def test_a_splitter_whose_weights_do_not_reach_100_may_choose_nothing() -> None:
    async with services() as behind, router(behind, {"root": node("Splitter", behind.step("a", weight=0))}) as one:
        answer = await one.post()
        assert answer.status_code == 500
        assert "weights add up to 0" in answer.json()["cause"]


async def test_a_service_that_is_not_there_is_a_500_that_names_the_step() -> None:
    async with services() as behind:
        step = {"name": "gone", "serviceUrl": "http://127.0.0.1:1/x", "condition": "model"}
        async with router(behind, {"root": node("Switch", step)}) as one:
            answer = await one.post({"model": "m"})
            assert answer.status_code == 500
            assert answer.json()["error"] == "Failed to process request"
            assert answer.json()["cause"].startswith("step gone of node root: cannot connect to http://127.0.0.1:1")
            assert one.metric('graph_step_requests_total{code="error",node="root",step="gone"} 1.0')
            assert one.metric('graph_step_retries_total{node="root",step="gone"} 2.0')


async def test_a_step_gets_the_body_byte_for_byte() -> None:
    async with services() as behind, router(behind, {"root": node("Switch", behind.step("a", condition="a"))}) as one:
        body = b' {"a" :1.50, "b":"\xc3\xa9\\u00e9" }\n'
        await one.http.post("/", content=body)
        assert behind.calls[0].body == body


async def test_a_response_of_any_kind_passes_through() -> None:
    async with (
        services(odd=raw(201, b"\x00\xff", b"application/octet-stream")) as behind,
        router(behind, {"root": node("Splitter", behind.step("odd", weight=100))}) as one,
    ):
        answer = await one.post()
        assert (answer.status_code, answer.content) == (201, b"\x00\xff")
        assert answer.headers["content-type"] == "application/octet-stream"


async def test_a_body_over_the_limit_is_413_in_the_routers_shape() -> None:
    async with services() as behind:
        nodes = {"root": node("Switch", behind.step("a", condition="a"))}
        async with router(behind, nodes, max_body_bytes=100) as one:
            answer = await one.http.post("/", content=b"x" * 101)
            assert answer.status_code == 413
            assert json.loads(answer.content)["cause"] == "the request body exceeds 100 bytes; send less"
