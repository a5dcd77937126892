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
    return make.gauge(
        "model_load_time_seconds",
        "Seconds of the last load by phase: of a predictor `import`, `load`, `warm-up`, `ready`, which add up from the "
        "start of its process; `load` alone of a model in Triton, while it is loaded; of the repository what comes "
        "before: `download`, and those of `seconds` in `status.json`.",
        "model",
        "phase",
    )


class InferenceMetrics:
    """Metrics of inference, the same for all predictors."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = _Families(registry)
        self.requests = make.counter(
            "inference_requests",
            "Requests: ok, rejected (4xx), failed (5xx), cancelled (the client disconnected).",
            "model",
            "protocol",
            "outcome",
        )
        self.latency = make.histogram("inference_latency_seconds", "From request to last byte.", "model", "protocol")
        self.in_flight = make.gauge("inference_requests_in_flight", "Requests that are being answered now.", "model")
        self.gpu_utilization = make.scraped(
            "gpu_utilization", "Share of time that the device was busy, 0..1; absent without a GPU.", "device"
        )
        self.gpu_memory_used = make.scraped(
            "gpu_memory_used_bytes", "Memory of the device that is in use, by whomever.", "device"
        )
        self.gpu_memory_total = make.scraped("gpu_memory_total_bytes", "Memory that the device has.", "device")
        self.load_time = _load_time(make)
        self.load_failures = make.counter(
            "model_load_failures",
            "Loads in Triton that failed: by the model's `content`, or as Triton was `unreachable`.",
            "model",
            "reason",
        )


class CallMetrics:
    """Metrics of the gateway's calls; the time to first byte is the client's view, cold starts included."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = _Families(registry)
        self.requests = make.counter(
            "gateway_requests",
            "Requests; code 499: the client disconnected; outcome `ok`, `rejected` (4xx, 501 and gRPC's equivalents), "
            "`failed` (other 5xx, their equivalents, and streams that break or end with an error, whatever "
            "their code), `cancelled`.",
            "model",
            "route",
            "code",
            "outcome",
        )
        self.latency = make.histogram(
            "gateway_request_seconds", "From request to last byte, waking included.", "model", "route"
        )
        self.first_byte = make.histogram(
            "gateway_first_byte_seconds",
            "From request to the first byte of the model's response, of a stream to that of its body: headers "
            "come long before a first token; errors do not count.",
            "model",
            "route",
        )
        # Apart from the above: the first byte of a response that is no stream comes when all of it is generated.
        self.first_token = make.histogram(
            "gateway_first_token_seconds", "From request to the first byte of a stream's body.", "model"
        )
        self.per_output_token = make.histogram(
            "gateway_time_per_output_token_seconds",
            "From the first byte of a stream to its last, by the output tokens after the first; an event "
            "stands for a token where nobody counts them.",
            "model",
            buckets=TOKEN_BUCKETS,
        )
        self.in_flight = make.gauge("gateway_requests_in_flight", "Requests that are being answered now.")
        self.cancelled = make.counter("gateway_cancelled", "Requests whose client disconnected.", "model")
        self.retries = make.counter("gateway_upstream_retries", "Retries before the first byte of a response.", "model")
        self.heartbeats = make.counter(
            "gateway_heartbeats",
            "Comments sent to streams that wait for a model to wake, or for a place of a full one.",
            "model",
        )
        self.waiting = make.gauge(
            "gateway_requests_waiting",
            "Requests that wait for a place of a full model; 0 in a gateway that asks for no keys.",
            "model",
        )
        self.waiting_time = make.histogram(
            "gateway_waiting_seconds", "How long requests waited that had to wait for a place, also in vain.", "model"
        )


class TenantMetrics:
    """Metrics of the gateway's calls by tenant, never crossed with models: their product knows no bound."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = _Families(registry)
        self.requests = make.counter(
            "gateway_tenant_requests",
            "Requests of a tenant to models, by outcome as `gateway_requests_total`; from the thousandth "
            "tenant on, `others`.",
            "tenant",
            "outcome",
        )
        self.first_byte = make.histogram(
            "gateway_tenant_first_byte_seconds",
            "As `gateway_first_token_seconds`, by tenant.",
            "tenant",
            buckets=TENANT_BUCKETS,
        )


class AccessMetrics:
    """Metrics of who may call the gateway: tenants, keys, tokens, acts of administrators, and TLS."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = _Families(registry)
        self.keys_rejected = make.counter(
            "gateway_keys_rejected",
            "Calls without a valid key: missing, repeated (a header), malformed, unknown, expired, revoked, "
            "tenant (it is gone); or token: `token_malformed`, `token_issuer`, `token_algorithm`, "
            "`token_key`, `token_signature`, `token_expired`, `token_early`, `token_audience`, "
            "`token_claims`, `token_tenant`, `token_unverifiable`.",
            "reason",
        )
        self.tenants = make.gauge("gateway_tenants", "Tenants in force; 0 in a gateway that asks for no keys.")
        self.keys = make.gauge("gateway_keys", "Keys of the file that is in force, and of the store.")
        self.keys_outdated = make.gauge(
            "gateway_keys_outdated", "1 while keys of the store are as last known, as it does not respond."
        )
        self.tenants_outdated = make.gauge(
            "gateway_tenants_outdated", "1 while an edit of the file of tenants is not valid, and so not in force."
        )
        self.audit_unwritten = make.counter(
            "gateway_audit_unwritten",
            "Acts of administrators that the store did not take: the log has a line with each.",
        )
        self.tls_outdated = make.gauge(
            "gateway_tls_outdated", "1 while the files of the certificate are not valid, and so not in force."
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
            "gateway_limit_denials",
            "Calls that a limit denied (`enforced`), or as a `shadow` would have.",
            "limit",
            "per",
            "mode",
        )
        self.store_errors = make.counter(
            "gateway_store_errors",
            "Operations on the store without a response (reserve, renew, settle, count): limits are then open, "
            "closed or local.",
            "operation",
        )
        self.store_up = make.gauge(
            "gateway_store_up", "1 while the store of limits responds, as of the last operation on it; 1 without one."
        )
        self.store_up.set(1)  # of a gateway without one too: nothing of it is away
        self.budget_alerts = make.counter(
            "gateway_budget_alerts",
            "Budgets that were used to a part, told by this gateway.",
            "limit",
            "per",
            "percent",
        )
        self.webhook_attempts = make.counter(
            "gateway_webhook_attempts", "Attempts to send the alert of a budget: `delivered`, `failed`.", "outcome"
        )
        self.tokens = make.counter(
            "gateway_tokens", "Tokens of tenants' calls: `input`, `cached_input`, `output`.", "model", "kind"
        )
        self.cost = make.counter(
            "gateway_cost_dollars",
            "What calls cost, by the price list; from the thousandth tenant on, `others`.",
            "tenant",
        )
        self.store_gateways = make.gauge(
            "gateway_store_gateways",
            "Gateways that shared the store last, this one among them; 0 until a call has had a limit that is `local`.",
        )
        self.usage_waiting = make.gauge(
            "gateway_usage_waiting", "Calls whose usage is kept until the store responds again."
        )
        self.usage_unwritten = make.counter(
            "gateway_usage_unwritten",
            "Calls whose usage the store did not take, neither then nor later: the log has a line with each.",
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
        self.starts = make.counter(
            "local_starts",
            "Starts of a process: by a `request`, `always-on`, after a `crash`, by a client's `load`, for new "
            "`content` of its folder.",
            "model",
            "reason",
        )
        self.start_seconds = make.histogram(
            "local_start_seconds", "Seconds of each phase of a start.", "model", "phase", buckets=START_BUCKETS
        )
        self.held = make.gauge("local_requests_held", "Requests that wait for a model to wake.", "model")
        self.oldest_held = make.gauge(
            "local_oldest_held_seconds",
            "How long the request has waited that has waited longest; 0 if none waits.",
            "model",
        )
        self.replicas = make.gauge("local_replicas", "Running processes.", "model")
        self.start_failures = make.counter(
            "local_start_failures", "Starts that ended before they were ready, or found no memory.", "model"
        )
        self.exits = make.counter(
            "local_replica_exits",
            "Processes that ended while they served: `crash`, or `killed` by signal 9, as the kernel does "
            "when memory is out.",
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


class GraphMetrics:
    """Metrics of a graph's router; nodes and steps are labeled with the graph's own names.

    ``code`` is a status, or ``cancelled`` (the client disconnected), ``error`` (a step sent no response) or ``broken``
    (a response ended early, after its headers).
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        make = _Families(registry)
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


class RoutingMetrics:
    """Metrics of the complexity predictor; ``tier`` is fast or reasoning, ``reason`` one of a fixed list."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = _Families(registry)
        self.decisions = make.counter(
            "routing_decisions", "Requests by the tier that was chosen and why.", "tier", "reason"
        )
        self.share = make.gauge("routing_share", "Part of the last 500 free choices that went to reasoning.")
        self.target = make.gauge("routing_share_target", "The share that was asked for.")
        self.score = make.histogram("routing_score", "Scores of the classifier.", buckets=SCORE_BUCKETS)
        self.seconds = make.histogram(
            "routing_decision_seconds", "From a request's arrival until its tier was chosen.", buckets=DECISION_BUCKETS
        )
        self.moves = make.counter("routing_moves", "Conversations that went on with the other tier.", "tier")
        self.shadow = make.counter(
            "routing_shadow", "Chats asked of both tiers: agreed, disagreed, failed, skipped.", "result"
        )
