"""What a trace says of the time that a request was held."""

import asyncio

import pytest

from switchyard.http.api_errors import ApiError
from switchyard.local.activator.spans import HeldRequest
from switchyard.telemetry.trace_context import TRACEPARENT
from switchyard.telemetry.tracing import DisabledTracer
from tests.recorded_spans import PARENT, KeptSpans


def test_a_wake_and_a_wait_for_a_place_are_spans_of_their_own() -> None:
    kept = KeptSpans()
    with HeldRequest(kept.tracer, "m", PARENT.encode()) as held:
        held.waited(2.0, asleep=True)
        held.waited(0.0001, asleep=False)  # a turn of the event loop
        held.waited(0.5, asleep=False)
        ((name, sent),) = held.headers
    assert kept.tree() == {"activator m": PARENT.split("-")[2], "wake m": "activator m", "queue m": "activator m"}
    request = kept.named("activator m")
    assert (name, sent.decode()) == (TRACEPARENT, request.span.traceparent)
    said = {"switchyard.model": "m", "switchyard.wake_seconds": 2.0, "switchyard.queue_seconds": 0.5}
    assert request.attributes == said
    assert kept.named("wake m").nanoseconds >= 2e9


@pytest.mark.parametrize(
    ("raised", "error", "kind"),
    [
        (ApiError("model_failed", "it ended"), "model_failed", "model_failed"),
        (ApiError("invalid_value", "it is wrong"), None, "invalid_value"),
        (OSError(), "OSError", None),
        (asyncio.CancelledError(), None, None),
    ],
)
def test_only_a_failure_is_an_error(raised: BaseException, error: str | None, kind: str | None) -> None:
    kept = KeptSpans()
    with pytest.raises(type(raised)), HeldRequest(kept.tracer, "m", None):
        raise raised
    (ended,) = kept.ended
    assert (ended.error, ended.attributes.get("error.type")) == (error, kind)


def test_off_the_callers_context_stays_as_it_is() -> None:
    with HeldRequest(DisabledTracer(), "m", PARENT.encode()) as held:
        held.waited(2.0, asleep=True)
        assert held.headers == ()
