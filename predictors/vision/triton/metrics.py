"""The metrics page: this process's own metrics, then Triton's."""

from prometheus_client import CollectorRegistry

from switchyard.http.client import Client, Timeouts
from switchyard.http.client.errors import UpstreamError
from switchyard.telemetry.exposition import metrics_page_in_thread

_QUICK = Timeouts(connect=0.5, first_byte=1.0, total=2.0)


async def metrics_page(
    registry: CollectorRegistry, client: Client, triton_metrics: str, accept: bytes | None
) -> tuple[bytes, bytes]:
    """Return the page and its content type, in the format that ``accept`` prefers.

    Without Triton's part when Triton, at ``host:port``, does not respond in two seconds.
    """
    try:
        response = await client.request(b"GET", f"http://{triton_metrics}/metrics", [], timeouts=_QUICK)
        theirs = await response.read()
    except UpstreamError:
        # A scrape must not fail with Triton: that it is gone is what these metrics have to say.
        return await metrics_page_in_thread(registry, accept)
    return await metrics_page_in_thread(registry, accept, theirs if response.status == 200 else b"")
