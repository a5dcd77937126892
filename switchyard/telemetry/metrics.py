"""Every metric name and label of the platform.

Label values are bounded by construction: ``model`` and ``adapter`` are catalog names (any other is counted as
``unknown``), ``tenant`` and ``issuer`` come from configuration, ``code`` and ``outcome`` from enumerations. Never free
text.
"""

from collections.abc import Callable, Sequence
from typing import Final, Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from switchyard.telemetry.histogram import OneThreadHistogram
from switchyard.telemetry.scraped import ScrapedGauge

Outcome = Literal["ok", "rejected", "failed", "cancelled"]
Exit = Literal["crash", "killed"]
EXITS: Final[tuple[Exit, ...]] = get_args(Exit)
Phase = Literal["preload", "spawn", "import", "load", "warm-up", "ready"]

_BELOW_A_SECOND = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5)
LATENCY_BUCKETS = (*_BELOW_A_SECOND, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
SCORE_BUCKETS = (-3.0, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
DECISION_BUCKETS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
TENANT_BUCKETS = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # few, as each of a thousand tenants has them
TOKEN_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5)
START_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0)


class _Families:
    """Makes metric families of one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def counter(self, name: str, text: str, *labels: str) -> Counter:
        """Make a counter; it is exposed as ``<name>_total``."""
        return Counter(name, text, labels, registry=self._registry)

    def gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self._registry)

    def scraped(self, name: str, text: str, label: str) -> ScrapedGauge:
        return ScrapedGauge(name, text, (label,), registry=self._registry)

    def histogram(self, name: str, text: str, *labels: str, buckets: Sequence[float] = LATENCY_BUCKETS) -> Histogram:
        return OneThreadHistogram(name, text, labels, buckets=buckets, registry=self._registry)


def _load_time(make: _Families) -> Gauge:
    """Make the one family of all that must happen before a model responds, whichever process does it."""
    return make.gauge("model_load_time_seconds", "Seconds of each phase of the last load.", "model", "phase")


class InferenceMetrics:
    """Metrics of inference, the same for language and vision predictors."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = _Families(registry)
        self.requests = make.counter(
            "inference_requests", "Finished inference requests.", "model", "protocol", "outcome"
        )
        self.latency = make.histogram("inference_latency_seconds", "From request to last byte.", "model", "protocol")
        self.in_flight = make.gauge("inference_requests_in_flight", "Requests in flight.", "model")
        self.gpu_utilization = make.scraped(
            "gpu_utilization", "Share of time that the device was busy, 0..1.", "device"
        )
        self.gpu_memory_used = make.scraped("gpu_memory_used_bytes", "Memory of the device that is in use.", "device")
        self.gpu_memory_total = make.scraped("gpu_memory_total_bytes", "Memory that the device has.", "device")
        self.load_time = _load_time(make)
        self.load_failures = make.counter("model_load_failures", "Loads in Triton that failed.", "model", "reason")


class CallMetrics:
    """Metrics of the gateway's calls; the time to first byte is the client's view, cold starts included."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = _Families(registry)
        self.requests = make.counter(
            "gateway_requests",
            "Requests by model, route, status code and outcome: ok, rejected, failed or cancelled.",
            "model",
            "route",
            "code",
            "outcome",
        )
        self.latency = make.histogram("gateway_request_seconds", "From request to last byte.", "model", "route")
        self.first_byte = make.histogram(
            "gateway_first_byte_seconds", "From request to the first byte of the model's response.", "model", "route"
        )
        # Apart from the above: the first byte of a response that is no stream comes when all of it is generated.
        self.first_token = make.histogram(
            "gateway_first_token_seconds", "From request to the first byte of a stream's body.", "model"
        )
        self.per_output_token = make.histogram(
            "gateway_time_per_output_token_seconds",
            "From the first byte of a stream to its last, by the output tokens after the first.",
            "model",
            buckets=TOKEN_BUCKETS,
        )
        self.in_flight = make.gauge("gateway_requests_in_flight", "Requests in flight.")
        self.cancelled = make.counter(
            "gateway_cancelled", "Requests whose client disconnected before the end.", "model"
        )
        self.retries = make.counter("gateway_upstream_retries", "Retries before the first byte of a response.", "model")
        self.heartbeats = make.counter(
            "gateway_heartbeats", "Comments sent to streams that wait for a model to wake.", "model"
        )
        self.waiting = make.gauge("gateway_requests_waiting", "Requests waiting for a place of their model.", "model")
        self.waiting_time = make.histogram(
            "gateway_waiting_seconds", "How long requests waited that had to wait for a place of their model.", "model"
        )


class TenantMetrics:
    """Metrics of the gateway's calls by tenant, never crossed with models: their product knows no bound."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = _Families(registry)
        self.requests = make.counter(
            "gateway_tenant_requests", "Requests of a tenant: ok, rejected, failed or cancelled.", "tenant", "outcome"
        )
        self.first_byte = make.histogram(
            "gateway_tenant_first_byte_seconds",
            "From a tenant's request to the first byte of a stream's body.",
            "tenant",
            buckets=TENANT_BUCKETS,
        )


class AccessMetrics:
    """Metrics of who may call the gateway: tenants, keys, tokens, acts of administrators, and TLS."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = _Families(registry)
        self.keys_rejected = make.counter(
            "gateway_keys_rejected", "Requests without a valid API key or token.", "reason"
        )
        self.tenants = make.gauge("gateway_tenants", "Tenants of the file that is in force.")
        self.keys = make.gauge("gateway_keys", "API keys of the file that is in force, and of the store.")
        self.keys_outdated = make.gauge(
            "gateway_keys_outdated", "1 while keys of the store are as last known, as it does not respond."
        )
        self.tenants_outdated = make.gauge(
            "gateway_tenants_outdated", "1 while the tenants in force are not those of the file, as that is not valid."
        )
        self.audit_unwritten = make.counter(
            "gateway_audit_unwritten", "Acts of administrators that the store did not take; the log has them."
        )
        self.tls_outdated = make.gauge(
            "gateway_tls_outdated", "1 while the certificate in force is not that of the files, as those are not valid."
        )
        self.tls_expires = make.gauge(
            "gateway_tls_expiration_timestamp_seconds",
            "When the first certificate of the chain in force expires, in seconds since 1970; 0 without TLS.",
        )
        self.issuers_outdated = make.gauge(
            "gateway_issuers_outdated", "1 while the keys of an issuer of tokens cannot be read.", "issuer"
        )


class UsageMetrics:
    """Metrics of what tenants may use and have used: limits, budgets, the ledger and its store."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = _Families(registry)
        self.limit_denials = make.counter(
            "gateway_limit_denials", "Calls that a limit denied, or as a shadow would have.", "limit", "per", "mode"
        )
        self.store_errors = make.counter(
            "gateway_store_errors", "Operations on the store of limits without a response.", "operation"
        )
        self.store_up = make.gauge(
            "gateway_store_up", "1 while the store of limits responds, as of the last operation."
        )
        self.store_up.set(1)  # of a gateway without one too: nothing of it is away
        self.budget_alerts = make.counter(
            "gateway_budget_alerts", "Budgets that were used to a part of them.", "limit", "per", "percent"
        )
        self.webhook_attempts = make.counter(
            "gateway_webhook_attempts", "Attempts to send a budget's alert: delivered or failed.", "outcome"
        )
        self.tokens = make.counter("gateway_tokens", "Tokens of tenants' calls.", "model", "kind")
        self.cost = make.counter("gateway_cost_dollars", "What calls cost, by the price list.", "tenant")
        self.store_gateways = make.gauge(
            "gateway_store_gateways", "Gateways that shared the store last, while a limit is to be held without it."
        )
        self.usage_waiting = make.gauge(
            "gateway_usage_waiting", "Calls whose usage waits until the store responds again."
        )
        self.usage_unwritten = make.counter(
            "gateway_usage_unwritten", "Calls whose usage the store did not take; the log has it."
        )


class GatewayMetrics:
    """All metrics of the gateway."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.calls = CallMetrics(registry)
        self.tenants = TenantMetrics(registry)
        self.access = AccessMetrics(registry)
        self.usage = UsageMetrics(registry)


class LocalMetrics:
    """Metrics of local mode's activator and supervisor."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = _Families(registry)
        self.starts = make.counter("local_starts", "Starts of a process.", "model", "reason")
        self.start_seconds = make.histogram(
            "local_start_seconds", "Seconds of each phase of a start.", "model", "phase", buckets=START_BUCKETS
        )
        self.held = make.gauge("local_requests_held", "Requests waiting for a model to wake.", "model")
        self.oldest_held = make.gauge(
            "local_oldest_held_seconds", "How long the request has waited that has waited longest.", "model"
        )
        self.replicas = make.gauge("local_replicas", "Running processes of a model.", "model")
        self.start_failures = make.counter("local_start_failures", "Starts that ended before ready.", "model")
        self.exits = make.counter(
            "local_replica_exits",
            "Processes that ended while they served: crash, or killed by signal 9.",
            "model",
            "reason",
        )

    def follow(self, model: str, oldest_held: Callable[[], float]) -> None:
        """Show what counts failures of a model from its first moment, at 0: alerts see the first one too."""
        self.oldest_held.labels(model).set_function(oldest_held)
        self.start_failures.labels(model)
        for reason in EXITS:
            self.exits.labels(model, reason)

    def forget(self, model: str) -> None:
        """Remove the series of a model that is served no more."""
        for family in vars(self).values():
            family.remove_by_labels({"model": model})


class RepositoryMetrics:
    """Metrics of ``switchyard.sync``: what it found, judged and published.

    ``model`` is a folder's name, whose series go with the folder; ``phase`` of a load is a key of ``seconds`` in
    ``status.json``. ``code`` is a ``FaultCode``, or ``ok``; ``scheme`` is that of a source, such as s3.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        make = _Families(registry)
        self.load_time = _load_time(make)
        self.verdicts = make.counter(
            "repository_verdicts", "Folders that were judged, by the first fault's code.", "group", "code"
        )
        self.models = make.gauge("repository_models", "Folders by the state of their newest content.", "group", "phase")
        self.published = make.gauge("repository_models_published", "Models that are there to be served.", "group")
        self.downloaded = make.counter("repository_downloaded_bytes", "Bytes that were downloaded.", "scheme")
        self.download_failures = make.counter("repository_download_failures", "Downloads that failed.", "scheme")


class GraphMetrics:
    """Metrics of a graph's router; nodes and steps are labeled with the graph's own names.

    ``code`` is a status, or ``cancelled`` (the client disconnected), ``error`` (a step sent no response) or ``broken``
    (a response ended early, after its headers).
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        make = _Families(registry)
        self.requests = make.counter("graph_requests", "Requests by status code.", "code")
        self.latency = make.histogram("graph_request_seconds", "From request to last byte.")
        self.in_flight = make.gauge("graph_requests_in_flight", "Requests in flight.")
        self.node_latency = make.histogram(
            "graph_node_seconds", "From reaching a node until its response headers.", "node"
        )
        self.unmatched = make.counter("graph_node_unmatched", "Requests for which a node has no step.", "node")
        self.step_requests = make.counter(
            "graph_step_requests", "Runs of a step by status code.", "node", "step", "code"
        )
        self.step_latency = make.histogram(
            "graph_step_seconds", "From starting a step until its response headers.", "node", "step"
        )
        self.retries = make.counter(
            "graph_step_retries", "Retries of a step before the first byte of its response.", "node", "step"
        )


class RoutingMetrics:
    """Metrics of the complexity predictor; ``tier`` is fast or reasoning, ``reason`` one of a fixed list."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = _Families(registry)
        self.decisions = make.counter(
            "routing_decisions", "Requests by the tier that was chosen and why.", "tier", "reason"
        )
        self.share = make.gauge("routing_share", "Part of the last 500 free choices that went to reasoning.")
        self.target = make.gauge("routing_share_target", "The share that the operator configured.")
        self.score = make.histogram("routing_score", "Scores of the classifier.", buckets=SCORE_BUCKETS)
        self.seconds = make.histogram(
            "routing_decision_seconds", "From a request's arrival until its tier was chosen.", buckets=DECISION_BUCKETS
        )
        self.moves = make.counter("routing_moves", "Conversations that moved to the other tier.", "tier")
        self.shadow = make.counter(
            "routing_shadow", "Chats sent to both tiers: agreed, disagreed, failed, skipped.", "result"
        )
