"""Reads what a process exposes, as Prometheus would."""

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample


def samples(text: str) -> list[Sample]:
    """Every sample of an exposition in Prometheus' text format."""
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]
