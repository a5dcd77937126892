"""What a call's trace says, who decides whether it is recorded, and what models and clients learn of it."""

from pathlib import Path

import pytest

from switchyard.gateway.settings import Settings
from switchyard.telemetry.sampling import Sampler
from switchyard.telemetry.trace_context import trace_id_of, valid_traceparent
from tests.recorded_spans import PARENT, UNSAMPLED, KeptSpans
from tests.switchyard.gateway.conftest import Bench, gateway

CHAT = {"model": "chat", "messages": [{"role": "user", "content": "a secret prompt"}]}
TRACE, SPAN = PARENT.split("-")[1:3]
DROPPED = {"baggage": "user=a", "b3": "1", "x-b3-sampled": "1"}


async def test_a_clients_trace_goes_on_to_the_model(tmp_path: Path) -> None:
    kept = KeptSpans()
    async with gateway(tmp_path, tracer=kept.tracer) as bench:
        headers = {"traceparent": PARENT, "tracestate": "vendor=1", **DROPPED}
        answer = await bench.http.post("/v1/chat/completions", json=CHAT, headers=headers)
        got = bench.model.calls[0].headers
    ended = kept.named("POST /v1/chat/completions")
    assert (ended.span.trace_id, ended.span.parent) == (TRACE, SPAN)
    assert got[b"traceparent"].decode() == answer.headers["traceresponse"] == ended.span.traceparent
    assert got[b"tracestate"] == b"vendor=1"
    assert not {name.encode() for name in DROPPED} & set(got)
    assert ended.attributes == {
        "switchyard.model": "chat",
        "switchyard.outcome": "ok",
        "switchyard.request_id": answer.headers["x-request-id"],
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 200,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "switchyard",
        "gen_ai.request.model": "chat",
        "gen_ai.request.stream": False,
    }
    assert ended.error is None


@pytest.mark.parametrize("given", ["00-1-2-3", PARENT.upper(), "", f"00-{'0' * 32}-{SPAN}-01"])
async def test_a_traceparent_that_is_none_begins_no_trace_elsewhere(tmp_path: Path, given: str) -> None:
    kept = KeptSpans()
    for tracer in (kept.tracer, None):
        async with gateway(tmp_path, tracer=tracer) as bench:
            headers = {"traceparent": given, "tracestate": "vendor=1"}
            answer = await bench.http.post("/v1/chat/completions", json=CHAT, headers=headers)
            got = bench.model.calls[0].headers
        assert answer.status_code == 200
        assert b"tracestate" not in got
        assert (b"traceparent" in got) == ("traceresponse" in answer.headers) == (tracer is not None)
    assert kept.tree() == {"POST /v1/chat/completions": ""}


async def test_of_two_traceparents_none_counts(tmp_path: Path) -> None:
    kept = KeptSpans()
    async with gateway(tmp_path, tracer=kept.tracer) as bench:
        await bench.http.post("/v1/chat/completions", json=CHAT, headers=[("traceparent", PARENT)] * 2)
        got = bench.model.calls[0].scope["headers"]
    assert [valid_traceparent(value.decode()) for name, value in got if name == b"traceparent"] == [
        kept.named("POST /v1/chat/completions").span.traceparent
    ]
    assert kept.tree() == {"POST /v1/chat/completions": ""}


async def test_off_a_valid_one_is_passed_on_and_nothing_is_told(bench: Bench) -> None:
    answer = await bench.http.post("/v1/chat/completions", json=CHAT, headers={"traceparent": PARENT, **DROPPED})
    assert bench.model.calls[0].headers[b"traceparent"].decode() == PARENT
    assert "traceresponse" not in answer.headers


@pytest.mark.parametrize(
    ("trusted", "given", "part", "recorded"),
    [(False, PARENT, 0, 0), (False, UNSAMPLED, 2**64, 1), (True, PARENT, 0, 1), (True, UNSAMPLED, 2**64, 0)],
)
async def test_the_sampler_decides_unless_clients_are_trusted(
    tmp_path: Path, trusted: bool, given: str, part: int, recorded: int
) -> None:
    kept = KeptSpans(Sampler(part, follows_callers=trusted))
    async with gateway(tmp_path, tracer=kept.tracer) as bench:
        answer = await bench.http.post("/v1/chat/completions", json=CHAT, headers={"traceparent": given})
        got = bench.model.calls[0].headers[b"traceparent"].decode()
    assert len(kept.ended) == recorded
    assert got == answer.headers["traceresponse"]
    assert (trace_id_of(got), got[-2:]) == (TRACE, f"0{recorded}")


def test_clients_are_not_trusted_by_default() -> None:
    assert not Settings.from_env({}).trust_traceparent
    assert Settings.from_env({"TRUST_TRACEPARENT": "true"}).trust_traceparent


async def test_a_failure_is_recorded_though_nothing_else_is(tmp_path: Path) -> None:
    kept = KeptSpans(Sampler(0, follows_callers=False))
    async with gateway(tmp_path, tracer=kept.tracer, retry_attempts=1) as bench:
        assert (await bench.chat()).status_code == 200
        assert (await bench.chat("nope")).status_code == 404
        answer = await bench.chat("nobody")
        assert answer.status_code == 503
    (ended,) = kept.ended
    assert ended.span.traceparent == answer.headers["traceresponse"]
    assert ended.attributes["switchyard.outcome"] == "failed"
    assert ended.attributes["error.type"] == ended.error == answer.json()["error"]["code"]


async def test_a_rejection_is_no_error_of_its_span(tmp_path: Path) -> None:
    kept = KeptSpans()
    async with gateway(tmp_path, tracer=kept.tracer) as bench:
        await bench.chat("nope")
    (ended,) = kept.ended
    assert ended.error is None
    assert ended.attributes["error.type"] == "model_not_found"
    assert ended.attributes["switchyard.model"] == "unknown"


async def test_times_lead_to_the_trace(tmp_path: Path) -> None:
    kept = KeptSpans()
    async with gateway(tmp_path, tracer=kept.tracer) as bench:
        await bench.chat()
        accept = {"accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
        page = await bench.http.get("/metrics", headers=accept)
    exemplar = f'# {{trace_id="{kept.ended[0].span.trace_id}"}}'
    for family in ("gateway_request_seconds", "gateway_first_byte_seconds"):
        lines = [line for line in page.text.splitlines() if line.startswith(f"{family}_bucket") and exemplar in line]
        assert len(lines) == 1, page.text
    assert page.headers["content-type"].startswith("application/openmetrics-text")
    assert page.text.endswith("# EOF\n")
