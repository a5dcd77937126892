"""What a predictor counts of a request, and what its span says."""

import pytest
from prometheus_client import CollectorRegistry

from predictors.serving.admission import Admission
from switchyard.http.asgi.usage import Counted, counted
from switchyard.telemetry.metrics.families import Outcome
from switchyard.telemetry.metrics.predictors import InferenceMetrics
from switchyard.telemetry.sampling import Sampler
from tests.recorded_spans import PARENT, UNSAMPLED, KeptSpans


def admission(kept: KeptSpans) -> tuple[Admission, CollectorRegistry]:
    registry = CollectorRegistry()
    return Admission("m", 4, InferenceMetrics(registry), kept.tracer), registry


@pytest.fixture(autouse=True)
def nothing_counted() -> None:
    counted.set(None)


def test_a_recorded_request_says_what_it_used_of_what_its_call_has_so_far() -> None:
    kept = KeptSpans()
    counted.set(before := Counted())  # of an earlier message of the same stream, which the gateway wants counted
    before.prompt_tokens, before.cached_tokens = 100, 100
    record = admission(kept)[0].record("grpc-v2", "text_completion", PARENT)
    assert counted.get() is before
    before.prompt_tokens, before.completion_tokens, before.cached_tokens = 130, 7, 116
    record.close("ok")
    ended = kept.named("text_completion m")
    assert ended.error is None
    assert ended.attributes == {
        "switchyard.model": "m",
        "switchyard.protocol": "grpc-v2",
        "switchyard.outcome": "ok",
        "switchyard.cache": "hit",
        "gen_ai.operation.name": "text_completion",
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": "m",
        "gen_ai.usage.input_tokens": 30,
        "gen_ai.usage.output_tokens": 7,
        "gen_ai.usage.cache_read.input_tokens": 16,
    }


def test_nothing_is_counted_for_the_span_of_a_request_that_is_not_recorded() -> None:
    kept = KeptSpans()
    admission(kept)[0].record("openai", "chat", UNSAMPLED).close("ok", 200)
    assert counted.get() is None
    assert kept.ended == []


@pytest.mark.parametrize(("outcome", "recorded"), [("ok", 0), ("rejected", 0), ("cancelled", 0), ("failed", 1)])
def test_a_failure_is_recorded_whatever_the_ratio(outcome: Outcome, recorded: int) -> None:
    kept = KeptSpans(Sampler(0))
    admission(kept)[0].record("openai", "chat", None).close(outcome, 500)
    assert len(kept.ended) == recorded
    for ended in kept.ended:
        assert (ended.error, ended.attributes["http.response.status_code"]) == ("failed", 500)


def test_the_time_of_a_request_leads_to_its_trace() -> None:
    kept = KeptSpans()
    made, registry = admission(kept)
    made.record("openai", "chat", PARENT).close("ok", 200)
    made.record("v2", "", UNSAMPLED).close("ok", 200)
    samples = [one for family in registry.collect() for one in family.samples if one.exemplar]
    (sample,) = samples
    assert sample.labels["protocol"] == "openai"
    assert sample.exemplar is not None
    assert sample.exemplar.labels == {"trace_id": PARENT.split("-")[1]}
