"""What a collector gets: messages of OTLP, as the SDK would write them."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from switchyard.telemetry import span_export
from switchyard.telemetry.sampling import Sampler
from switchyard.telemetry.span_export import SpanExport, SpanWriter
from switchyard.telemetry.tracing import SERVER, RecordedSpan, RecordingTracer, Value
from tests.live.collector import Collector, collecting
from tests.recorded_spans import PARENT, KeptSpans

SURROGATE = st.characters(exclude_categories=())
VALUES = st.one_of(
    st.text(SURROGATE),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.booleans(),
    st.just(1),
    st.just(1.0),
)


def ended(
    attributes: dict[str, Value], error: str | None = None, parent: str | None = PARENT
) -> tuple[RecordedSpan, int]:
    kept = KeptSpans()
    kept.tracer.start("work", parent, attributes, kind=SERVER).end(error)
    return kept.ended[0].span, kept.ended[0].span.began + kept.ended[0].nanoseconds


def read(span: Span) -> dict[str, Value]:
    return {one.key: getattr(one.value, str(one.value.WhichOneof("value"))) for one in span.attributes}


WRITER = SpanWriter()  # shared, so that its caches are used


@given(st.dictionaries(st.text(max_size=10), VALUES, max_size=5), st.one_of(st.none(), st.text(SURROGATE)))
def test_a_span_reads_as_it_was(attributes: dict[str, Value], error: str | None) -> None:
    span, at = ended(attributes, error)
    message = Span.FromString(WRITER.span(span, at, error))
    assert (message.trace_id.hex(), message.span_id.hex()) == (span.trace_id, span.span_id)
    assert message.parent_span_id.hex() == PARENT.split("-")[2]
    assert (message.name, message.kind) == ("work", Span.SPAN_KIND_SERVER)
    assert (message.start_time_unix_nano, message.end_time_unix_nano) == (span.began, at)
    shown = {key: _sent(value) for key, value in attributes.items()}
    assert {key: (type(value), value) for key, value in read(message).items()} == shown
    assert message.status.code == (Status.STATUS_CODE_UNSET if error is None else Status.STATUS_CODE_ERROR)
    assert message.status.message == ("" if error is None else _sent(error)[1])


def _sent(value: Value) -> tuple[type, Value]:
    sent = value[:512].encode("utf-8", "replace").decode() if isinstance(value, str) else value
    return type(sent), sent


def test_the_first_span_of_a_trace_has_no_parent() -> None:
    span, at = ended({}, parent=None)
    assert Span.FromString(WRITER.span(span, at, None)).parent_span_id == b""


def test_what_is_kept_of_attributes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(span_export, "_CACHED", 4)
    writer = SpanWriter()
    for number in range(10):
        span, at = ended({"n": number, "t": f"{number}"})
        assert read(Span.FromString(writer.span(span, at, None))) == {"n": number, "t": f"{number}"}
    assert max(len(writer._texts), len(writer._numbers)) <= 4


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as server:
        yield server


def test_a_collector_gets_the_spans_and_whose_they_are(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "k8s.pod.name=p,service.version=mine")
    export = SpanExport("gateway")
    tracer = RecordingTracer(export, Sampler())
    for name in ("one", "two"):
        tracer.start(name, PARENT).end()
    export.flush()
    assert sorted(span.name for span in collector.spans) == ["one", "two"]
    (resource,) = collector.resources
    assert (resource["service.name"], resource["service.version"]) == ("gateway", "mine")
    assert resource["k8s.pod.name"] == "p"
    monkeypatch.setenv("OTEL_SERVICE_NAME", "other")
    again = SpanExport("gateway")
    RecordingTracer(again, Sampler()).start("three", PARENT).end()
    again.flush()
    assert collector.resources[-1]["service.name"] == "other"
