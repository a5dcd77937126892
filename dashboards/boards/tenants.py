"""Tenants: what they ask, get, use and pay, and what stands between them and the models."""

from dashboards import panels
from dashboards.panels import Board, Panel, Query, Row
from dashboards.promql import MODEL, TENANT, highest, increase, quantile, rate, ratio, select, share, total

_BY = ("tenant",)
_PER_MILLION = 1_000_000

_SERVICE = Row(
    title="What tenants get",
    panels=(
        Panel(
            title="Requests by tenant",
            text="Requests each second; from the thousandth tenant on, others.",
            unit="reqps",
            queries=(Query(rate("gateway_tenant_requests_total", TENANT, by=_BY), "{{tenant}}"),),
            stacked=True,
            boards=("switchyard-slo",),
        ),
        Panel(
            title="Failed and rejected",
            text=(
                "Part of each tenant's requests that failed (ours to mend) or were rejected (by a limit, or as they "
                "were wrong)."
            ),
            unit="percentunit",
            queries=tuple(
                Query(
                    share(
                        rate("gateway_tenant_requests_total", f'{TENANT}, outcome="{outcome}"', by=_BY),
                        rate("gateway_tenant_requests_total", TENANT, by=_BY),
                    ),
                    f"{{{{tenant}}}} {outcome}",
                )
                for outcome in ("failed", "rejected")
            ),
            maximum=1,
            alerts=("TenantAvailabilityBurn",),
        ),
        Panel(
            title="Time to first token",
            text="95 of 100 streams of a tenant had their first token sooner; buckets are few, so this is coarse.",
            unit="s",
            queries=(Query(quantile(0.95, "gateway_tenant_first_token_seconds", TENANT, by=_BY), "p95 {{tenant}}"),),
            boards=("switchyard-models",),
            alerts=("TenantFirstTokenBurn",),
        ),
        Panel(
            title="Calls denied by a limit",
            text="By limit and the time that it counts in; shadow ones would have been denied.",
            unit="reqps",
            queries=(
                Query(
                    rate("gateway_limit_denials_total", by=("limit", "per", "mode")), "{{limit}} per {{per}} {{mode}}"
                ),
            ),
            stacked=True,
        ),
        Panel(
            title="Keys and tokens that are not valid",
            text=(
                "Calls each second without a valid API key or token, by reason; a flood of unknown ones is somebody "
                "guessing."
            ),
            unit="reqps",
            queries=(Query(rate("gateway_keys_rejected_total", by=("reason",)), "{{reason}}"),),
            stacked=True,
            alerts=("KeysGuessed",),
        ),
        Panel(
            title="Requests that are no valid HTTP",
            text=(
                "By status: bad framing or method, headers that are too large, a page or a name that is not served. "
                "They are no calls: no other panel counts them."
            ),
            unit="reqps",
            queries=(Query(rate("gateway_invalid_requests_total", by=("code",)), "{{code}}"),),
            stacked=True,
        ),
        Panel(
            title="Tenants and keys",
            text="Tenants in force, and keys: of the file, and of the store.",
            unit="short",
            queries=(
                Query(f"max({select('gateway_tenants')})", "tenants"),
                Query(f"max({select('gateway_keys')})", "keys"),
            ),
            alerts=("TenantsFileNotInForce",),
        ),
    ),
)

_COST = Row(
    title="What it costs",
    panels=(
        Panel(
            title="Dollars by tenant",
            text="What each tenant's calls cost in the time shown, by the price list.",
            unit="currencyUSD",
            queries=(Query(f"topk(20, {increase('gateway_cost_dollars_total', TENANT, by=_BY)})", "{{tenant}}"),),
            kind="table",
        ),
        Panel(
            title="Dollars an hour",
            text="At the present rate, by tenant.",
            unit="currencyUSD",
            queries=(Query(f"{rate('gateway_cost_dollars_total', TENANT, by=_BY)} * 3600", "{{tenant}}"),),
            stacked=True,
        ),
        Panel(
            title="Dollars per million tokens",
            text=(
                "What all calls cost by what they read and wrote: rises when work moves to dearer models, falls with "
                "caches."
            ),
            unit="currencyUSD",
            queries=(
                Query(
                    f"{_PER_MILLION} * "
                    + ratio(increase("gateway_cost_dollars_total", TENANT), increase("gateway_tokens_total")),
                    "per million tokens",
                ),
            ),
            boards=("switchyard-cache",),
        ),
        Panel(
            title="Tokens of tenants by kind",
            text="Tokens each second that were billed: read, read from a cache, written.",
            unit="suffix: tok/s",
            queries=(Query(rate("gateway_tokens_total", MODEL, by=("kind",)), "{{kind}}"),),
            stacked=True,
        ),
        Panel(
            title="Tokens of tenants by model",
            text="Tokens each second that were billed, of all kinds.",
            unit="suffix: tok/s",
            queries=(Query(rate("gateway_tokens_total", MODEL, by=("model",)), "{{model}}"),),
            stacked=True,
            boards=("switchyard-models",),
        ),
        Panel(
            title="Budgets used to a part",
            text="How often a budget reached a part of itself in the time shown, and attempts to tell its webhook.",
            unit="short",
            queries=(
                Query(
                    increase("gateway_budget_alerts_total", by=("limit", "per", "percent")),
                    "{{percent}} % of {{limit}} per {{per}}",
                ),
                Query(increase("gateway_webhook_attempts_total", by=("outcome",)), "webhook {{outcome}}"),
            ),
            alerts=("BudgetWebhookFailing",),
        ),
    ),
)

_STORE = Row(
    title="Who counts",
    panels=(
        Panel(
            title="Store of limits",
            text=(
                "1 while the store responded to the last operation of each gateway. Without it limits are open, "
                "closed or local."
            ),
            unit="short",
            queries=(Query(f"min by (instance) ({select('gateway_store_up')})", "{{instance}}"),),
            kind="states",
            boards=("switchyard-cache",),
            alerts=("QuotaStoreDown",),
        ),
        Panel(
            title="Operations without a response",
            text="Of the store, each second: reserve, renew, settle or count.",
            unit="ops",
            queries=(Query(rate("gateway_store_errors_total", by=("operation",)), "{{operation}}"),),
            alerts=("QuotaStoreDown",),
        ),
        Panel(
            title="Usage that waits, usage that was lost",
            text=(
                "Calls whose usage waits for the store, and those that it did not take at all: the log has a line "
                "with each."
            ),
            unit="short",
            queries=(
                Query(total(select("gateway_usage_waiting")), "waiting"),
                Query(increase("gateway_usage_unwritten_total"), "not written"),
            ),
            alerts=("LedgerBehind", "UsageLost"),
        ),
        Panel(
            title="Gateways that share the store",
            text="What a limit that is local without the store is divided by; 0 until one has counted.",
            unit="short",
            queries=(Query(f"max({select('gateway_store_gateways')})", "gateways"),),
        ),
        Panel(
            title="Not in force",
            text=(
                "1 while an edit of the file of tenants is not valid, keys are as last known, or an issuer's keys "
                "cannot be read."
            ),
            unit="short",
            queries=(
                Query(f"max({select('gateway_tenants_outdated')})", "file of tenants"),
                Query(f"max({select('gateway_keys_outdated')})", "keys of the store"),
                Query(highest(select("gateway_issuers_outdated"), "issuer"), "{{issuer}}"),
            ),
            alerts=("TenantsFileNotInForce", "KeysOutdated", "IssuerKeysOutdated"),
        ),
        Panel(
            title="Acts of administrators not written",
            text="That the store did not take in the time shown; the log has a line with each.",
            unit="short",
            queries=(Query(increase("gateway_audit_unwritten_total"), "acts"),),
            alerts=("AuditUnwritten",),
        ),
    ),
)

_BATCHES = Row(
    title="Batches and WebSockets",
    panels=(
        Panel(
            title="Lines of batches",
            text="Attempts each second: what went well, failed, is asked again, or waits for a limit.",
            unit="reqps",
            queries=(Query(rate("gateway_batch_lines_total", by=("outcome",)), "{{outcome}}"),),
            stacked=True,
        ),
        Panel(
            title="Batches and lines at work",
            text="What gateways work on now, and batches that none works on yet: many for long means too few places.",
            unit="short",
            queries=(
                Query(total(select("gateway_batches_running")), "batches"),
                Query(f"max({select('gateway_batches_waiting')})", "batches that wait"),
                Query(total(select("gateway_batch_lines_running")), "lines"),
            ),
        ),
        Panel(
            title="WebSockets",
            text="Those that are open, and those that closed each second by their close code.",
            unit="short",
            queries=(
                Query(total(select("gateway_websockets")), "open"),
                Query(rate("gateway_websockets_closed_total", by=("code",)), "closed {{code}}"),
            ),
        ),
    ),
)

BOARD = Board(
    uid="switchyard-tenants",
    title="Tenants and cost",
    text="What tenants get, what it costs, and whether it is counted.",
    variables=(panels.NAMESPACE, panels.TENANT, panels.MODEL),
    rows=(_SERVICE, _COST, _STORE, _BATCHES),
)
