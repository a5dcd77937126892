"""Sends spans to a collector: OpenTelemetry's SDK queues, batches and sends them, and what it sends is written here.

The SDK's own spans cost 50 µs each to record and 75 µs to encode, more than twice what a chat costs the gateway
without them (docs/decisions/0019). Each span is therefore written at its end as a message of OTLP
(https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto), in a tenth
of that; attributes repeat, so that most of a span's bytes are known already.
"""

import atexit
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from struct import pack
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import SpanContext, TraceFlags

from switchyard.telemetry.tracing import RecordedSpan, Value

_DISTRIBUTION = "switchyard-serving"
_TEXT_BYTES = 512  # of an attribute's value
_CACHED = 2048  # attributes and names whose bytes are kept: those of models, routes and tenants

# Fields of OTLP's messages as they stand before a value: number and wire type.
_TRACE_ID, _SPAN_ID, _PARENT, _NAME, _KIND, _TIMES, _ATTRIBUTE, _STATUS = (
    b"\x0a\x10",
    b"\x12\x08",
    b"\x22\x08",
    b"\x2a",
    b"\x30",
    "<BQBQ",
    b"\x4a",
    b"\x7a",
)
_START, _END = 0x39, 0x41
_ERROR = b"\x18\x02"  # code = STATUS_CODE_ERROR


class _EndedSpan:
    """The bytes of a span in the SDK's queue, which takes what looks sampled."""

    __slots__ = ("data",)
    context = SpanContext(1, 1, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))

    def __init__(self, data: bytes) -> None:
        self.data = data


class _Exporter(OTLPSpanExporter):
    """The SDK's exporter, for spans that are written already; ``head`` is the resource, before them."""

    def __init__(self, head: bytes) -> None:
        super().__init__()
        self._head = head

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        ended: Sequence[Any] = spans
        data = request(self._head, [span.data for span in ended])
        return SpanExportResult.SUCCESS if self._client.export(data).success else SpanExportResult.FAILURE


class SpanExport:
    """Queues what spans were, and sends it from the SDK's thread; its sizes and times are ``OTEL_BSP_…``."""

    def __init__(self, service: str) -> None:
        own = Resource({SERVICE_NAME: service, SERVICE_VERSION: version(_DISTRIBUTION)})
        # What variables say comes last, and so counts: OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES.
        resource = Resource.create().merge(own).merge(OTELResourceDetector().detect())
        self._writer = SpanWriter()
        self._processor = BatchSpanProcessor(_Exporter(resource_head(resource.attributes)))
        self._queue: Any = self._processor.on_end
        atexit.register(self._processor.shutdown)

    def record(self, span: RecordedSpan, ended: int, error: str | None) -> None:
        """Queue a span for export; what the queue has no room for is lost, and the SDK logs that."""
        self._queue(_EndedSpan(self._writer.span(span, ended, error)))

    def flush(self) -> None:
        """Send what is queued now."""
        self._processor.force_flush()


class SpanWriter:
    """Writes spans as messages of OTLP."""

    def __init__(self) -> None:
        # Texts and numbers apart, as 1, 1.0 and True are one key of a dict.
        self._texts: dict[tuple[str, Value], bytes] = {}
        self._numbers: dict[tuple[str, Value], bytes] = {}
        self._names: dict[tuple[str, int], bytes] = {}

    def span(self, span: RecordedSpan, ended: int, error: str | None) -> bytes:
        """Return a span's message."""
        parts = [_TRACE_ID, bytes.fromhex(span.trace_id), _SPAN_ID, bytes.fromhex(span.span_id)]
        if span.parent:
            parts += (_PARENT, bytes.fromhex(span.parent))
        parts += (self._name(span.name, span.kind), pack(_TIMES, _START, span.began, _END, ended))
        if span.attributes is not None:
            texts, numbers = self._texts, self._numbers
            for item in span.attributes.items():
                kind = type(item[1])
                known = texts.get(item) if kind is str else numbers.get(item) if kind is int else None
                parts.append(known or self._attribute(*item))
        if error is not None:
            message = _text(error)
            parts.append(_sized(_STATUS, b"\x12" + _varint(len(message)) + message + _ERROR))
        return b"".join(parts)

    def _name(self, name: str, kind: int) -> bytes:
        written = self._names.get((name, kind))
        if written is None:
            written = _sized(_NAME, _text(name)) + _KIND + _varint(kind)
            _keep(self._names, (name, kind), written)
        return written

    def _attribute(self, key: str, value: Value) -> bytes:
        written = attribute(key, value)
        if type(value) is str:
            _keep(self._texts, (key, value), written)
        elif type(value) is int:
            _keep(self._numbers, (key, value), written)
        return written


def attribute(key: str, value: Value, tag: bytes = _ATTRIBUTE) -> bytes:
    """Return a KeyValue as the field ``tag``."""
    if isinstance(value, bool):
        typed = b"\x10" + _varint(value)
    elif isinstance(value, int):
        typed = b"\x18" + _varint(value & (2**64 - 1))
    elif isinstance(value, float):
        typed = b"\x21" + pack("<d", value)
    else:
        typed = _sized(b"\x0a", _text(value))
    return _sized(tag, _sized(b"\x0a", _text(key)) + _sized(b"\x12", typed))


def resource_head(attributes: Mapping[str, Any]) -> bytes:
    """Return the fields of a ResourceSpans before its spans: the resource, and the scope's beginning."""
    kept: Iterable[bytes] = (
        attribute(key, value, b"\x0a")
        for key, value in attributes.items()
        if isinstance(value, str | int | float | bool)
    )
    return _sized(b"\x0a", b"".join(kept))


_SCOPE = b"\x0a\x0c\x0a\x0aswitchyard"  # ScopeSpans.scope = {name}


def request(head: bytes, spans: Sequence[bytes]) -> bytes:
    """Return an ExportTraceServiceRequest of one resource and one scope."""
    scope = _SCOPE + b"".join([_sized(b"\x12", span) for span in spans])
    return _sized(b"\x0a", head + _sized(b"\x12", scope))


def _keep(cache: dict[Any, bytes], key: object, written: bytes) -> None:
    if len(cache) >= _CACHED:
        cache.clear()
    cache[key] = written


def _text(value: str) -> bytes:
    return value[:_TEXT_BYTES].encode("utf-8", "replace")


def _sized(tag: bytes, value: bytes) -> bytes:
    return tag + _varint(len(value)) + value


def _varint(number: int) -> bytes:
    if number < 0x80:
        return number.to_bytes()
    written = bytearray()
    while number >= 0x80:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)
