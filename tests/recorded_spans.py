"""A recorder that keeps spans for a test to look at."""

from dataclasses import dataclass

from switchyard.telemetry.sampling import Sampler
from switchyard.telemetry.tracing import RecordedSpan, RecordingTracer

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = PARENT[:-2] + "00"


@dataclass(frozen=True, slots=True)
class Ended:
    """A span that has ended."""

    span: RecordedSpan
    nanoseconds: int
    error: str | None

    @property
    def attributes(self) -> dict[str, object]:
        return dict(self.span.attributes or {})


class KeptSpans:
    """The spans that ``tracer`` has recorded."""

    def __init__(self, sampler: Sampler | None = None) -> None:
        self.ended: list[Ended] = []
        self.tracer = RecordingTracer(self, sampler or Sampler())

    def record(self, span: RecordedSpan, ended: int, error: str | None) -> None:
        self.ended.append(Ended(span, ended - span.began, error))

    def named(self, name: str) -> Ended:
        """The one span of this name."""
        (found,) = [one for one in self.ended if one.span.name == name]
        return found

    def tree(self) -> dict[str, str]:
        """The name of each span's parent, by its own; of the first of a trace what its client sent, or nothing."""
        names = {one.span.span_id: one.span.name for one in self.ended}
        return {one.span.name: names.get(one.span.parent, one.span.parent) for one in self.ended}
