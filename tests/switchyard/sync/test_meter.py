"""What is counted of downloads, however often they are told."""

from dataclasses import replace

from prometheus_client import CollectorRegistry

from switchyard.repository.status import RepositoryStatus
from switchyard.sync.downloads import Download, Listing
from switchyard.sync.meter import Meter
from switchyard.telemetry.metrics.repository import RepositoryMetrics

DOWNLOAD = Download(group="llm", name="chat", state="running", source="s3://models/llm/chat", revision="1")


def counted(registry: CollectorRegistry, name: str) -> float | None:
    return registry.get_sample_value(name, {"scheme": "s3"})


async def test_bytes_are_counted_once_also_where_a_download_failed_and_went_on() -> None:
    registry = CollectorRegistry()
    meter = Meter(RepositoryMetrics(registry))
    for came in (0, 60, 60):
        meter.download(replace(DOWNLOAD, progress=(came, 100)))
    meter.download(replace(DOWNLOAD, state="failed", reason="no connection"))
    for came in (0, 60, 80):
        meter.download(replace(DOWNLOAD, progress=(came, 100)))
    meter.download(replace(DOWNLOAD, state="done", progress=(100, 100)))
    meter.download(replace(DOWNLOAD, revision="2", progress=(10, 50)))
    assert counted(registry, "repository_downloaded_bytes_total") == 110
    assert counted(registry, "repository_download_failures_total") == 1


def failing(registry: CollectorRegistry) -> float | None:
    return counted(registry, "repository_downloads_failing")


async def test_a_download_fails_until_it_is_done_or_its_model_is_gone_also_while_it_is_tried_again() -> None:
    registry = CollectorRegistry()
    meter = Meter(RepositoryMetrics(registry))
    other = replace(DOWNLOAD, name="other", source="s3://models/llm/other")
    for download in (DOWNLOAD, other):
        meter.download(replace(download, state="failed", reason="no connection"))
    meter.download(replace(DOWNLOAD, progress=(1, 100), reason="no connection"))
    assert failing(registry) == 2
    meter.download(replace(DOWNLOAD, state="done", progress=(100, 100)))
    assert failing(registry) == 1
    meter.download(replace(other, state="removed"))
    assert failing(registry) == 0


async def test_a_source_that_cannot_be_listed_fails_until_it_can() -> None:
    registry = CollectorRegistry()
    meter = Meter(RepositoryMetrics(registry))
    meter.listing(Listing(source="s3://models", failed=True))
    assert failing(registry) == 1
    meter.listing(Listing(source="s3://models", failed=False))
    assert failing(registry) == 0


async def test_the_time_of_a_download_is_a_phase_of_the_load_until_its_model_is_gone() -> None:
    registry = CollectorRegistry()
    meter = Meter(RepositoryMetrics(registry))

    async def seconds() -> float | None:
        await meter.report(RepositoryStatus(()))
        return registry.get_sample_value("model_load_time_seconds", {"model": "chat", "phase": "download"})

    meter.download(replace(DOWNLOAD, state="done", progress=(100, 100)))  # before this process
    assert await seconds() is None
    meter.download(DOWNLOAD)
    assert await seconds() is None
    meter.download(replace(DOWNLOAD, state="done", progress=(100, 100)))
    assert await seconds() is not None
    meter.download(replace(DOWNLOAD, state="removed"))
    assert await seconds() is None
