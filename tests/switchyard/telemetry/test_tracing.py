"""Spans: whose child each is, and which are recorded."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from switchyard.telemetry import attributes, tracing
from switchyard.telemetry.sampling import Sampler
from switchyard.telemetry.trace_context import is_sampled, trace_id_of, valid_traceparent
from switchyard.telemetry.tracing import DisabledTracer, RecordingTracer
from tests.recorded_spans import PARENT, UNSAMPLED, KeptSpans

NEVER = Sampler(0)
STRANGERS = Sampler(0, follows_callers=False)


def test_a_span_belongs_to_its_callers_trace() -> None:
    kept = KeptSpans()
    span = kept.tracer.start("work", PARENT)
    assert span.traceparent is not None
    assert valid_traceparent(span.traceparent)
    assert span.trace_id == trace_id_of(PARENT) == trace_id_of(span.traceparent)
    span.end()
    assert kept.tree() == {"work": PARENT.split("-")[2]}


@pytest.mark.parametrize("given", [None, "", "00-no-such-01", PARENT.upper()])
def test_without_a_caller_it_begins_a_trace(given: str | None) -> None:
    kept = KeptSpans()
    first, second = (kept.tracer.start("work", given) for _ in range(2))
    first.end()
    assert kept.tree() == {"work": ""}
    assert first.trace_id != second.trace_id


@pytest.mark.parametrize(
    ("sampler", "given", "sampled"),
    [
        (Sampler(), None, True),
        (Sampler(), UNSAMPLED, False),
        (NEVER, None, False),
        (NEVER, PARENT, True),
        (STRANGERS, PARENT, False),
        (Sampler(follows_callers=False), UNSAMPLED, True),
    ],
)
def test_the_first_of_a_trace_decides_and_the_others_follow(sampler: Sampler, given: str | None, sampled: bool) -> None:
    kept = KeptSpans(sampler)
    span = kept.tracer.start("work", given)
    span.end()
    assert span.traceparent is not None
    assert span.sampled == is_sampled(span.traceparent) == sampled
    assert len(kept.ended) == sampled
    assert given is None or span.trace_id == trace_id_of(given)


def test_an_error_is_recorded_though_its_trace_is_not_sampled() -> None:
    kept = KeptSpans(NEVER)
    span = kept.tracer.start("work", None)
    span.set("a", 1)
    span.end("broken")
    (ended,) = kept.ended
    assert (ended.error, ended.attributes) == ("broken", {"a": 1})


def test_a_span_ends_once() -> None:
    kept = KeptSpans()
    span = kept.tracer.start("work", None)
    span.end()
    span.end("again")
    assert [one.error for one in kept.ended] == [None]


def test_ids_are_not_shared_between_threads() -> None:
    tracer = KeptSpans().tracer
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda _: tracer.start("work", None).traceparent, range(1000)))
    assert len(set(ids)) == len(ids)


def test_off_it_passes_on_what_is_valid() -> None:
    tracer = DisabledTracer()
    assert tracer.start("work", PARENT).traceparent == PARENT
    assert tracer.start("work", PARENT).trace_id == trace_id_of(PARENT)
    assert tracer.start("work", "nonsense").traceparent is None
    assert tracer.start("work", None).trace_id == ""
    assert not tracer.start("work", PARENT).sampled


def test_an_endpoint_switches_it_on_and_the_standards_variable_off(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (tracing.ENDPOINT, tracing.TRACES_ENDPOINT):
        monkeypatch.delenv(name, raising=False)
    assert isinstance(tracing.configure("test"), DisabledTracer)
    monkeypatch.setenv(tracing.ENDPOINT, "http://127.0.0.1:9")
    assert isinstance(tracing.configure("test"), RecordingTracer)
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert isinstance(tracing.configure("test"), DisabledTracer)


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({tracing.ENDPOINT: "http://c:4318"}, "http://c:4318/v1/traces"),
        ({tracing.ENDPOINT: "http://c:4318/"}, "http://c:4318/v1/traces"),
        ({tracing.ENDPOINT: "http://c", tracing.TRACES_ENDPOINT: "http://t/x"}, "http://t/x"),
    ],
)
def test_others_are_told_where_spans_go(environ: dict[str, str], url: str) -> None:
    assert tracing.traces_url(environ) == url


def test_names_are_those_of_the_conventions() -> None:
    from opentelemetry.semconv._incubating.attributes import gen_ai_attributes, rpc_attributes
    from opentelemetry.semconv.attributes import error_attributes, http_attributes

    modules = (gen_ai_attributes, rpc_attributes, error_attributes, http_attributes)
    known = {value for module in modules for value in vars(module).values() if isinstance(value, str)}
    assert known >= attributes.CONVENTIONS
    operations = {one.value for one in gen_ai_attributes.GenAiOperationNameValues}
    paths = ("/openai/v1/chat/completions", "/v1/messages", "/v1/completions", "/v1/embeddings", "/v1/responses")
    assert operations >= {attributes.operation_of(path) for path in paths}
    assert attributes.operation_of("/openai/v1/score") == ""
