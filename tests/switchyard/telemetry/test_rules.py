"""What each process exposes is read by the strict parser of OpenMetrics and passes Prometheus' own check."""

import re
import subprocess
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from switchyard.telemetry.exposition import exposition
from switchyard.telemetry.process import registry_of
from tools.metrics_page import SECTIONS, Section

OPENMETRICS = b"application/openmetrics-text; version=1.0.0"


def filled(section: Section) -> CollectorRegistry:
    """A process's registry in which each family has a series."""
    registry = registry_of("gateway")
    for holder in section.holders:
        for family in vars(holder(registry)).values():
            if isinstance(family, MetricWrapperBase) and family._labelnames:
                family.labels(*("value" for _ in family._labelnames))
    return registry


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.title)
def test_openmetrics_strict_parser_reads_it(section: Section) -> None:
    page, content_type = exposition(filled(section), OPENMETRICS)
    assert content_type.startswith(b"application/openmetrics-text")
    # Values below zero have no sum, and the library writes the count all the same, which its own parser rejects.
    text = re.sub(r"(?m)^routing_score_count.*\n", "", page.decode())
    read: Any = text_string_to_metric_families
    families = {one.name: one for one in read(text)}
    assert families["switchyard_build"].type == "info"
    assert not [name for name in families if name.endswith("_created")]
    assert all(one.type != "unknown" for one in families.values())


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.title)
def test_prometheus_finds_nothing_to_complain_of(section: Section) -> None:
    page, _ = exposition(filled(section), None)
    done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")
