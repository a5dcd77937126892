"""The request that the steps of a graph share."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from switchyard.http.headers import Header
from switchyard.router.header_propagation import for_response_body


@dataclass(frozen=True, slots=True)
class GraphRequest:
    """The client's request without its body; ``headers`` are the ones that steps receive."""

    method: bytes
    target: bytes
    headers: list[Header]
    traceparent: str | None = None

    def with_traceparent(self, traceparent: str | None) -> "GraphRequest":
        """Return the same request as a child of another span."""
        if traceparent is None or traceparent == self.traceparent:
            return self
        headers = [header for header in self.headers if header[0] != b"traceparent"]
        headers.append((b"traceparent", traceparent.encode("ascii")))
        return GraphRequest(self.method, self.target, headers, traceparent)

    def with_body_of(self, response: Sequence[Header]) -> "GraphRequest":
        """Return the same request for a step that gets the body of the response with these headers."""
        return replace(self, headers=for_response_body(self.headers, response))
