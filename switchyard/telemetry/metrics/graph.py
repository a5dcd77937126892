"""Metrics of a graph's router."""

from prometheus_client import CollectorRegistry

from switchyard.telemetry.metrics.families import Families


class GraphMetrics:
    """Metrics of a graph's router; nodes and steps are labeled with the graph's own names.

    ``code`` is a status, or ``cancelled`` (the client disconnected), ``error`` (a step sent no response) or ``broken``
    (a response ended early, after its headers).
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        make = Families(registry)
        self.requests = make.counter(
            "graph_requests",
            "Requests by status, or `cancelled` (the client disconnected) or `broken` (a response ended early, "
            "after its headers).",
            "code",
        )
        self.latency = make.histogram("graph_request_seconds", "From request to last byte.")
        self.in_flight = make.gauge("graph_requests_in_flight", "Requests that are being answered now.")
        self.node_latency = make.histogram(
            "graph_node_seconds", "From reaching a node until its response began.", "node"
        )
        self.unmatched = make.counter("graph_node_unmatched", "Requests for which the node has no step.", "node")
        self.step_requests = make.counter(
            "graph_step_requests",
            "Runs of a step by status, or `error` (no response), `cancelled`.",
            "node",
            "step",
            "code",
        )
        self.step_latency = make.histogram(
            "graph_step_seconds", "From starting a step until its response began.", "node", "step"
        )
        self.retries = make.counter(
            "graph_step_retries", "Retries before the first byte of a response.", "node", "step"
        )
