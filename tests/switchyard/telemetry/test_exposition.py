"""The page of metrics, in both formats."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

from switchyard.telemetry.exposition import exposition, metrics_page_in_thread
from switchyard.telemetry.histogram import OneThreadHistogram, exemplar_of
from tests.recorded_spans import PARENT, UNSAMPLED, KeptSpans

Parser = Callable[[str], Iterable[Metric]]
openmetrics: Parser = openmetrics_parser.text_string_to_metric_families
text: Parser = text_string_to_metric_families

PROMETHEUS = (
    b"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    b"text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)  # what version 2.42 sends
OTHERS = b"""# HELP nv_inference_count Number of inferences.
# TYPE nv_inference_count counter
nv_inference_count{model="ocr"} 3.000000
# HELP nv_energy Energy.
# TYPE nv_energy gauge
nv_energy 1.5
"""


def registry() -> tuple[CollectorRegistry, OneThreadHistogram]:
    made = CollectorRegistry()
    Counter("requests", "Requests.", registry=made).inc()
    return made, OneThreadHistogram("seconds", "Seconds.", buckets=(0.1, 1.0), registry=made)


def test_text_is_for_who_asks_for_nothing_else() -> None:
    made, _ = registry()
    for accept in (None, b"*/*", b"text/html"):
        page, kind = exposition(made, accept)
        assert kind.startswith(b"text/plain")
        assert {family.name for family in text(page.decode())} >= {"requests", "seconds"}


def test_an_exemplar_leads_from_its_bucket_to_the_trace() -> None:
    made, histogram = registry()
    kept = KeptSpans()
    sampled, other = (kept.tracer.start("work", given) for given in (PARENT, UNSAMPLED))
    histogram.observe(0.05, exemplar_of(other))
    histogram.observe(0.5, exemplar_of(sampled))
    histogram.observe(0.6, exemplar_of(None))
    page, kind = exposition(made, PROMETHEUS)
    assert kind.startswith(b"application/openmetrics-text; version=1.0.0")
    (family,) = [one for one in openmetrics(page.decode()) if one.name == "seconds"]
    found = {one.labels["le"]: one.exemplar for one in family.samples if one.exemplar}
    assert list(found) == ["1.0"]
    assert (found["1.0"].labels, found["1.0"].value) == ({"trace_id": sampled.trace_id}, 0.5)


def test_another_programs_page_follows_under_its_own_names() -> None:
    made, _ = registry()
    assert exposition(made, b"text/plain", OTHERS)[0].endswith(OTHERS)
    page, _ = exposition(made, PROMETHEUS, OTHERS)
    values = {one.name: one.value for family in openmetrics(page.decode()) for one in family.samples}
    assert (values["nv_inference_count"], values["nv_energy"], values["requests_total"]) == (3.0, 1.5, 1.0)


def test_names_of_vllm_keep_their_colon_in_both_formats() -> None:
    made = CollectorRegistry()
    Gauge("vllm:num_requests_waiting", "Requests.", ["model_name"], registry=made).labels("chat").set(2)

    for accept in (PROMETHEUS, b"text/plain"):
        page, _ = exposition(made, accept)
        assert b'\nvllm:num_requests_waiting{model_name="chat"} 2.0\n' in page


async def test_a_page_is_written_while_the_loop_goes_on() -> None:
    class Slow:
        """Has no sample until the event loop has run."""

        went_on = threading.Event()

        def collect(self) -> Iterator[Metric]:
            assert self.went_on.wait(10)
            yield GaugeMetricFamily("slow", "It was waited for.", 1.0)

    registry, slow = CollectorRegistry(auto_describe=False), Slow()
    registry.register(slow)
    asyncio.get_running_loop().call_soon(slow.went_on.set)
    page, _ = await metrics_page_in_thread(registry, None)
    assert b"slow 1.0" in page
