"""Every metric name and label of the platform.

Label values are bounded by construction: ``model`` and ``adapter`` are catalog names (any other is counted as
``unknown``), ``tenant`` comes from configuration, ``code`` and ``outcome`` from enumerations. Never free text.
"""

from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

Outcome = Literal["ok", "rejected", "failed", "cancelled"]
Phase = Literal["spawn", "import", "load", "warm-up", "ready"]

LATENCY_BUCKETS = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    120.0,
    300.0,
    600.0,
)
SCORE_BUCKETS = (-3.0, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
DECISION_BUCKETS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
START_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0)


class InferenceMetrics:
    """Metrics of inference, the same for language and vision predictors."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "inference_requests", "Finished inference requests.", ("model", "protocol", "outcome"), registry=registry
        )  # exposed as inference_requests_total
        self.latency = Histogram(
            "inference_latency_seconds",
            "From request to last byte.",
            ("model", "protocol"),
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self.in_flight = Gauge("inference_requests_in_flight", "Requests in flight.", ("model",), registry=registry)
        self.gpu_utilization = Gauge(
            "gpu_utilization", "Share of time that the device was busy, 0..1.", ("device",), registry=registry
        )
        self.load_time = Gauge(
            "model_load_time_seconds",
            "From process start until the model finished its warm-up.",
            ("model",),
            registry=registry,
        )
        self.start_phase = Gauge(
            "model_start_phase_seconds",
            "Seconds of each phase of the last start.",
            ("model", "phase"),
            registry=registry,
        )


class GatewayMetrics:
    """Metrics of the gateway; the time to first byte is the client's view, cold starts included."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "gateway_requests",
            "Requests by model, route and status code.",
            ("model", "route", "code"),
            registry=registry,
        )  # exposed as gateway_requests_total
        self.latency = Histogram(
            "gateway_request_seconds",
            "From request to last byte.",
            ("model", "route"),
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self.first_byte = Histogram(
            "gateway_first_byte_seconds",
            "From request to the first byte of the model's response.",
            ("model", "route"),
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self.in_flight = Gauge("gateway_requests_in_flight", "Requests in flight.", registry=registry)
        self.cancelled = Counter(
            "gateway_cancelled", "Requests whose client disconnected before the end.", ("model",), registry=registry
        )
        self.retries = Counter(
            "gateway_upstream_retries", "Retries before the first byte of a response.", ("model",), registry=registry
        )
        self.heartbeats = Counter(
            "gateway_heartbeats",
            "Comments sent to streams that wait for a model to wake.",
            ("model",),
            registry=registry,
        )


class LocalMetrics:
    """Metrics of local mode's activator and supervisor."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.starts = Counter("local_starts", "Starts of a process.", ("model", "reason"), registry=registry)
        self.start_seconds = Histogram(
            "local_start_seconds",
            "Seconds of each phase of a start.",
            ("model", "phase"),
            buckets=START_BUCKETS,
            registry=registry,
        )
        self.held = Gauge("local_requests_held", "Requests waiting for a model to wake.", ("model",), registry=registry)
        self.replicas = Gauge("local_replicas", "Running processes of a model.", ("model",), registry=registry)


class GraphMetrics:
    """Metrics of a graph's router; nodes and steps are labeled with the graph's own names.

    ``code`` is a status, or ``cancelled`` (the client disconnected), ``error`` (a step sent no response) or ``broken``
    (a response ended early, after its headers).
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter("graph_requests", "Requests by status code.", ("code",), registry=registry)
        self.latency = Histogram(
            "graph_request_seconds", "From request to last byte.", buckets=LATENCY_BUCKETS, registry=registry
        )
        self.in_flight = Gauge("graph_requests_in_flight", "Requests in flight.", registry=registry)
        self.node_latency = Histogram(
            "graph_node_seconds",
            "From reaching a node until its response headers.",
            ("node",),
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self.unmatched = Counter(
            "graph_node_unmatched", "Requests for which a node has no step.", ("node",), registry=registry
        )
        self.step_requests = Counter(
            "graph_step_requests", "Runs of a step by status code.", ("node", "step", "code"), registry=registry
        )
        self.step_latency = Histogram(
            "graph_step_seconds",
            "From starting a step until its response headers.",
            ("node", "step"),
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self.retries = Counter(
            "graph_step_retries",
            "Retries of a step before the first byte of its response.",
            ("node", "step"),
            registry=registry,
        )


class RoutingMetrics:
    """Metrics of the complexity predictor; ``tier`` is fast or reasoning, ``reason`` one of a fixed list."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.decisions = Counter(
            "routing_decisions", "Requests by the tier that was chosen and why.", ("tier", "reason"), registry=registry
        )  # exposed as routing_decisions_total
        self.share = Gauge(
            "routing_share", "Part of the last 500 free choices that went to reasoning.", registry=registry
        )
        self.target = Gauge("routing_share_target", "The share that the operator configured.", registry=registry)
        self.score = Histogram("routing_score", "Scores of the classifier.", buckets=SCORE_BUCKETS, registry=registry)
        self.seconds = Histogram(
            "routing_decision_seconds",
            "From a request's arrival until its tier was chosen.",
            buckets=DECISION_BUCKETS,
            registry=registry,
        )
        self.moves = Counter(
            "routing_moves", "Conversations that moved to the other tier.", ("tier",), registry=registry
        )
        self.shadow = Counter(
            "routing_shadow",
            "Chats sent to both tiers: agreed, disagreed, failed, skipped.",
            ("result",),
            registry=registry,
        )
