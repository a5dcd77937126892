"""What makes each alert fire, and what is just not enough; those of SLOs are made of the file of SLOs: ``burns``."""

from tests.dashboards.alerting.promtool import Counter, Gauge, Scenario, level, pair, single
from tests.dashboards.alerting.scenarios_below import BELOW

GATEWAYS = {
    'up{job="gateway",namespace="prod",instance="a"}': Gauge(good=1, below=0, bad=0),
    'up{job="gateway",namespace="prod",instance="b"}': Gauge(good=1, below=1, bad=0),
}
PROD = 'namespace="prod",instance="a"'
MODEL = f'{PROD},model="one"'
STEP = f'{PROD},service="graph",node="root",step="first"'
WAITING = "gateway_waiting_seconds"


def flag(alert: str, name: str, after: int, severity: str = "ticket", more: str = "") -> Scenario:
    """Return the scenario of a gauge that is 1 while something is wrong, at any gateway."""
    series = {
        f'{name}{{namespace="prod",instance="a"{more}}}': Gauge(good=0, bad=1),
        f'{name}{{namespace="prod",instance="b"{more}}}': Gauge(good=0, bad=0),
    }
    return Scenario(alert=alert, severity=severity, series=series, within=after + 1, clears=1)


GATEWAY = [
    Scenario(alert="GatewayDown", severity="page", step="15s", series=GATEWAYS, within=5, clears=1),
    Scenario(
        alert="NoGatewayResponds",
        severity="page",
        series=GATEWAYS,
        within=6,
        clears=1,
        absent_fires="that there is none is what it is about",
    ),
    Scenario(
        alert="QueueForPlaceLong",
        # A tenth may wait longer than 10 s, and 9 of 100 do just below.
        series={
            f'{WAITING}_bucket{{{MODEL},le="5.0"}}': Counter(good=100, below=91, bad=80),
            f'{WAITING}_bucket{{{MODEL},le="10.0"}}': Counter(good=100, below=91, bad=80),
            f'{WAITING}_bucket{{{MODEL},le="30.0"}}': Counter(good=100, below=100, bad=100),
            f'{WAITING}_bucket{{{MODEL},le="+Inf"}}': Counter(good=100, below=100, bad=100),
            f"{WAITING}_count{{{MODEL}}}": Counter(good=100, below=100, bad=100),
        },
        within=11,
        clears=5,
    ),
    Scenario(
        alert="KeysGuessed",
        series={
            f'gateway_keys_rejected_total{{{PROD},reason="unknown"}}': Counter(below=40, bad=45),
            f'gateway_keys_rejected_total{{{PROD},reason="token_signature"}}': Counter(below=19, bad=45),
            # A client that goes on with a key of yesterday guesses none.
            f'gateway_keys_rejected_total{{{PROD},reason="expired"}}': Counter(good=1000, below=1000, bad=1000),
        },
        within=11,
        clears=6,
    ),
    Scenario(
        alert="QuotaStoreDown",
        severity="page",
        step="15s",
        series={
            'gateway_store_up{namespace="prod",instance="a"}': Gauge(good=1, bad=0),
            'gateway_store_up{namespace="prod",instance="b"}': Gauge(good=1, bad=1),
        },
        within=5,
        clears=1,
    ),
    flag("LedgerBehind", "gateway_usage_waiting", 10),
    single("UsageLost", f"gateway_usage_unwritten_total{{{PROD}}}", 30),
    single("AuditUnwritten", f"gateway_audit_unwritten_total{{{PROD}}}", 30, "page"),
    Scenario(
        alert="BudgetWebhookFailing",
        series={
            f'gateway_webhook_attempts_total{{{PROD},outcome="failed"}}': Counter(below=1, bad=1),
            f'gateway_webhook_attempts_total{{{PROD},outcome="delivered"}}': Counter(good=1, below=1),
        },
        within=16,
        clears=2,
        fades=15,
    ),
    level(
        "CertificateExpiresSoon",
        f"gateway_tls_expiration_timestamp_seconds{{{PROD}}}",
        Gauge(good=30 * 86400, below=15 * 86400, bad=13 * 86400, idle=0),
        after=5,
    ),
    level(
        "CertificateExpiresSoon",
        f"gateway_tls_expiration_timestamp_seconds{{{PROD}}}",
        Gauge(good=30 * 86400, below=3 * 86400, bad=86400, idle=0),
        after=5,
        severity="page",
    ),
    flag("CertificateNotInForce", "gateway_tls_outdated", 5),
    flag("TenantsFileNotInForce", "gateway_tenants_outdated", 5),
    flag("KeysOutdated", "gateway_keys_outdated", 10, "page"),
    flag("IssuerKeysOutdated", "gateway_issuers_outdated", 10, more=',issuer="corp"'),
]

MODELS = [
    level(
        "RequestsHeldTooLong",
        f"local_oldest_held_seconds{{{MODEL}}}",
        Gauge(good=30, below=180, bad=181, idle=0),
        after=0,
        severity="page",
    ),
    Scenario(
        alert="ModelWakeStuck",
        severity="page",
        series={
            f"local_requests_held{{{MODEL}}}": Gauge(good=0, below=3, bad=3),
            f'local_start_seconds_count{{{MODEL},phase="ready"}}': Counter(good=0, below=0.2),
            f'local_start_seconds_count{{{MODEL},phase="spawn"}}': Counter(good=0, below=0.2, bad=1),
        },
        within=11,
        clears=1,
    ),
    Scenario(
        alert="ModelCrashLooping",
        severity="page",
        series={
            f'local_replica_exits_total{{{MODEL},reason="crash"}}': Counter(below=0.1, bad=0.5),
            f'local_replica_exits_total{{{MODEL},reason="killed"}}': Counter(below=0.18, bad=0.5),
        },
        within=5,
        clears=9,
    ),
    Scenario(
        alert="ModelStartFailing",
        series={f"local_start_failures_total{{{MODEL}}}": Counter(below=0.13, bad=0.5)},
        within=6,
        clears=15,
    ),
    pair(
        "ModelFolderFailed",
        (
            f'repository_models{{{PROD},group="llm",phase="failed"}}',
            f'repository_models{{{PROD},group="llm",phase="published"}}',
        ),
        Gauge(good=0, bad=1),
        3,
        after=5,
    ),
    level("DownloadsFailing", f'repository_downloads_failing{{{PROD},scheme="hf"}}', Gauge(good=0, bad=1), after=5),
    single("ModelLoadFailing", f'model_load_failures_total{{{MODEL},reason="content"}}', 15),
    Scenario(
        alert="GraphStepFailing",
        series={
            f'graph_step_requests_total{{{STEP},code="200"}}': Counter(good=100, below=91, bad=80),
            f'graph_step_requests_total{{{STEP},code="503"}}': Counter(below=5, bad=10),
            f'graph_step_requests_total{{{STEP},code="error"}}': Counter(below=4, bad=10),
            # Another step was faster: that is no failure, nor a success.
            f'graph_step_requests_total{{{STEP},code="cancelled"}}': Counter(good=100, below=100, bad=100),
        },
        within=6,
        clears=4,
    ),
    Scenario(
        alert="GraphStepUnmatched",
        series={
            f'graph_node_unmatched_total{{{PROD},service="graph",node="root"}}': Counter(below=4, bad=10),
            # None of the requests has a step: then the node counts nothing else.
            f'graph_node_seconds_count{{{PROD},service="graph",node="root"}}': Counter(good=100, below=100, bad=0),
        },
        within=15,
        clears=9,
        fades=15,
    ),
    Scenario(
        alert="RoutingShareOff",
        series={
            f"routing_share{{{PROD}}}": Gauge(good=0.5, below=0.64, bad=0.66, idle=0.9),
            f"routing_share_target{{{PROD}}}": Gauge(good=0.5, bad=0.5),
            f'routing_decisions_total{{{PROD},tier="fast",reason="score"}}': Counter(good=20, below=20, bad=20),
        },
        within=40,
        clears=1,
    ),
]

SCENARIOS = [*GATEWAY, *MODELS, *BELOW]
