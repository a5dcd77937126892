"""Metrics of the gateway."""

from prometheus_client import CollectorRegistry

from switchyard.telemetry.metrics.families import Families

TENANT_BUCKETS = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # few, as each of a thousand tenants has them
TOKEN_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5)


class CallMetrics:
    """Metrics of the gateway's calls; the time to first byte is the client's view, cold starts included."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = Families(registry)
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
        # Apart from the above, whose codes and routes are too many to be there before the first call.
        self.outcomes = make.counter(
            "gateway_model_requests",
            "Requests by outcome as `gateway_requests_total`, at 0 once the model is served: a rate sees the first.",
            "model",
            "outcome",
        )
        self.latency = make.histogram(
            "gateway_request_seconds", "From request to last byte, waking included.", "model", "route"
        )
        self.first_byte = make.histogram(
            "gateway_first_byte_seconds",
            "From request to the first byte of the model's response, of a stream to that of its body: headers "
            "come long before a first token; errors do not count. Of a gRPC stream, from its first message.",
            "model",
            "route",
        )
        # Apart from the above: the first byte of a response that is no stream comes when all of it is generated.
        self.first_token = make.histogram(
            "gateway_first_token_seconds",
            "From request to the first byte of a stream's body, which carries its first token; responses that are no "
            "stream do not count.",
            "model",
        )
        self.per_output_token = make.histogram(
            "gateway_time_per_output_token_seconds",
            "From the first byte of a stream to its last, by the output tokens after the first; an event "
            "stands for a token where nobody counts them.",
            "model",
            buckets=TOKEN_BUCKETS,
        )
        self._begin_waits(make)

    def _begin_waits(self, make: Families) -> None:
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
        make = Families(registry)
        self.requests = make.counter(
            "gateway_tenant_requests",
            "Requests of a tenant to models, by outcome as `gateway_requests_total`; from the thousandth "
            "tenant on, `others`.",
            "tenant",
            "outcome",
        )
        self.first_token = make.histogram(
            "gateway_tenant_first_token_seconds",
            "As `gateway_first_token_seconds`, by tenant.",
            "tenant",
            buckets=TENANT_BUCKETS,
        )


class AccessMetrics:
    """Metrics of who may call the gateway: valid HTTP, tenants, keys, tokens, acts of administrators, and TLS."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = Families(registry)
        self.invalid_requests = make.counter(
            "gateway_invalid_requests",
            "Requests that the server itself responds to, as they are no valid HTTP (400, 431, 501), come from a page "
            "or by a name that it does not serve (403, 421), or find it full (503); no other family counts them.",
            "code",
        )
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
        make = Families(registry)
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


class RecordingMetrics:
    """Metrics of responses that are recorded, joined and replayed."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = Families(registry)
        self.recordings = make.counter(
            "gateway_recordings",
            "Responses that were recorded; outcome `kept`, `failed` (by the model, or cut), `given_up` (too large, or "
            "the store was away), `superseded` (another gateway took this one for lost).",
            "outcome",
        )
        self.replays = make.counter(
            "gateway_replays",
            "Requests that were not sent to a model, as their response was recorded; how `joined` (it was still made), "
            "`replayed`, `resumed` (a stream, by its request's id), or what was wrong: `mismatch` (another request had "
            "the key), `lost` (a gateway was lost while it made it).",
            "how",
        )
        self.running = make.gauge("gateway_recordings_running", "Responses that are made and recorded now.")
        self.unstored = make.gauge(
            "gateway_recordings_unstored_bytes", "What recordings hold in memory, as the store has not taken it yet."
        )


class CacheMetrics:
    """Metrics of the cache of responses."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = Families(registry)
        self.requests = make.counter(
            "gateway_cache_requests",
            "Requests of tenants with a cache to routes that are cached: `hit`, `miss`, `joined` (an equal one was "
            "just being made), `bypass` (the output is sampled, or client or store did not want to).",
            "model",
            "result",
        )
        self.bytes = make.counter("gateway_cache_bytes", "Bytes of responses that came from the cache.", "model")
        self.embeddings = make.counter(
            "gateway_cache_embeddings",
            "Single embeddings of requests for many: `hit`, or `miss`, for which a model was asked.",
            "model",
            "result",
        )
        self.store_errors = make.counter(
            "gateway_cache_store_errors", "Look-ups to which the store did not respond: requests then bypass the cache."
        )


class SocketMetrics:
    """Metrics of the gateway's WebSockets; their requests count as all calls do."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = Families(registry)
        self.open = make.gauge("gateway_websockets", "WebSockets that are open.")
        self.closed = make.counter(
            "gateway_websockets_closed",
            "WebSockets that have closed, by the close code that was sent or received first: `1006` for a connection "
            "that was lost, `other` for a client's own.",
            "code",
        )


class BatchMetrics:
    """Metrics of batches, as this gateway works on them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = Families(registry)
        self.lines = make.counter(
            "gateway_batch_lines",
            "Attempts at lines of batches: `ok`, `failed` (its error is its result), `retried` (the model failed, and "
            "is asked again), `limited` (a limit was reached, and the line waits).",
            "outcome",
        )
        self.lines_running = make.gauge("gateway_batch_lines_running", "Lines of batches that run now.")
        self.running = make.gauge("gateway_batches_running", "Batches that this gateway works on.")
        self.waiting = make.gauge("gateway_batches_waiting", "Batches that no gateway works on yet, as this one knows.")


class GatewayMetrics:
    """All metrics of the gateway."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.calls = CallMetrics(registry)
        self.tenants = TenantMetrics(registry)
        self.access = AccessMetrics(registry)
        self.usage = UsageMetrics(registry)
        self.recordings = RecordingMetrics(registry)
        self.cache = CacheMetrics(registry)
        self.sockets = SocketMetrics(registry)
        self.batches = BatchMetrics(registry)
