"""Metrics of the sync of the model repository."""

from prometheus_client import CollectorRegistry

from switchyard.telemetry.metrics.families import Families, load_time


class RepositoryMetrics:
    """Metrics of ``switchyard.sync``: what it found, judged and published.

    ``model`` is a folder's name, whose series go with the folder; ``phase`` of a load is a key of ``seconds`` in
    ``status.json``. ``code`` is a ``FaultCode``, or ``ok``; ``scheme`` is that of a source, such as s3.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        make = Families(registry)
        self.load_time = load_time(make)
        self.verdicts = make.counter(
            "repository_verdicts", "Folders that were judged: `ok`, or the code of the first fault.", "group", "code"
        )
        self.models = make.gauge(
            "repository_models",
            "Folders by the state of their newest content: `downloading`, `copying`, `checking`, `published`, "
            "`failed`.",
            "group",
            "phase",
        )
        self.published = make.gauge(
            "repository_models_published",
            "Models that are there to be served, also those whose newer content failed.",
            "group",
        )
        self.downloaded = make.counter(
            "repository_downloaded_bytes", "Bytes that were downloaded from `s3`, `gs`, `hf`, `oci`.", "scheme"
        )
        self.download_failures = make.counter(
            "repository_download_failures", "Downloads that failed; each is told in the status of its model.", "scheme"
        )
        self.downloads_failing = make.gauge(
            "repository_downloads_failing",
            "Models whose last download failed, and sources that could never be listed; all are tried again.",
            "scheme",
        )
