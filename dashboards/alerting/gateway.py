"""Alerts of the gateway: whether it serves, and whether what it serves by is in force."""

from dashboards.alerting.rules import Alert, Group

_RESPONDS = [
    Alert(
        name="GatewayDown",
        severity="page",
        kind="symptom",
        expression='sum by (namespace) (up{job="gateway"}) == 0',
        after="1m",
        means="no gateway of a namespace lets its metrics be read",
        summary="No gateway of {{ $labels.namespace }} responds",
        description="Prometheus can read none of the gateways in {{ $labels.namespace }}; clients get no response.",
    ),
    Alert(
        name="NoGatewayResponds",
        severity="page",
        kind="symptom",
        expression='absent(up{job="gateway"} == 1)',
        after="5m",
        means="nowhere is there a gateway whose metrics can be read: also none that is down, as when all were deleted",
        summary="No gateway is there",
        description="Prometheus has known no gateway that responds for 5 minutes: it is gone, or is not scraped.",
    ),
    Alert(
        name="QueueForPlaceLong",
        severity="ticket",
        kind="symptom",
        expression="histogram_quantile(0.9, sum by (namespace, model, le) (rate(gateway_waiting_seconds_bucket[5m]))) "
        "> <10s> and sum by (namespace, model) (increase(gateway_waiting_seconds_count[5m])) >= 20",
        after="5m",
        means="a tenth of those that had to wait for a place of a full model waited more than 10 s, of at least 20",
        summary="Requests for {{ $labels.model }} wait long for a place",
        description="A tenth of those that had to wait waited more than {{ $value | humanizeDuration }}: "
        "{{ $labels.model }} in {{ $labels.namespace }} has fewer places than its tenants need.",
    ),
    Alert(
        name="KeysGuessed",
        severity="ticket",
        kind="symptom",
        expression="sum by (namespace) (increase(gateway_keys_rejected_total"
        '{reason=~"unknown|malformed|token_signature|token_key"}[5m])) > 300',
        after="5m",
        means="more than 300 calls in 5 minutes with keys or tokens that nobody issued",
        summary="Somebody tries keys at the gateway of {{ $labels.namespace }}",
        description='{{ $value | printf "%.0f" }} calls in 5 minutes had keys or signatures that were never issued.',
    ),
]

_STORE = [
    Alert(
        name="QuotaStoreDown",
        severity="page",
        kind="symptom",
        expression="min by (namespace) (gateway_store_up) == 0",
        after="1m",
        means="the last operation of a gateway on the store of limits had no response, for a minute",
        summary="The store of limits does not respond in {{ $labels.namespace }}",
        description="Limits are open, closed or local, as each tenant has it, and usage waits in the gateway's memory.",
    ),
    Alert(
        name="LedgerBehind",
        severity="ticket",
        kind="symptom",
        expression="sum by (namespace) (gateway_usage_waiting) > 0",
        after="10m",
        means="for 10 minutes there were calls whose usage is not yet in the ledger",
        summary="The ledger of {{ $labels.namespace }} is behind",
        description="{{ $value }} calls wait to be written; a gateway that ends now writes them to its log.",
    ),
    Alert(
        name="UsageLost",
        severity="ticket",
        kind="symptom",
        expression="sum by (namespace) (increase(gateway_usage_unwritten_total[30m])) > 0",
        means="a call's usage was given up in the last 30 minutes",
        summary="Usage is missing in the ledger of {{ $labels.namespace }}",
        description='About {{ $value | printf "%.0f" }} calls of 30 minutes are in the log and not on the bill.',
    ),
    Alert(
        name="AuditUnwritten",
        severity="page",
        kind="symptom",
        expression="sum by (namespace) (increase(gateway_audit_unwritten_total[30m])) > 0",
        means="the store did not take an administrator's act in the last 30 minutes",
        summary="Acts of administrators are missing in the audit log of {{ $labels.namespace }}",
        description='About {{ $value | printf "%.0f" }} acts of 30 minutes are only in the gateway\'s own log.',
    ),
    Alert(
        name="BudgetWebhookFailing",
        severity="ticket",
        kind="symptom",
        expression='sum by (namespace) (increase(gateway_webhook_attempts_total{outcome="failed"}[15m])) >= 3 '
        'unless sum by (namespace) (increase(gateway_webhook_attempts_total{outcome="delivered"}[15m])) > 0',
        means="three attempts to tell of a budget failed in 15 minutes, and none succeeded",
        summary="Alerts of budgets do not arrive",
        description='{{ $value | printf "%.0f" }} attempts of the gateway in {{ $labels.namespace }} failed: '
        "tenants are not told that a budget ends.",
    ),
]

_IN_FORCE = [
    Alert(
        name="CertificateExpiresSoon",
        severity="ticket",
        kind="symptom",
        expression="min by (namespace) (gateway_tls_expiration_timestamp_seconds > 0) - time() < <14d>",
        after="5m",
        means="the certificate in force ends within 14 days",
        summary="The certificate of {{ $labels.namespace }} ends in {{ $value | humanizeDuration }}",
        description="Whatever renews it has not: a certificate should be replaced a month before its end.",
    ),
    Alert(
        name="CertificateExpiresSoon",
        severity="page",
        kind="symptom",
        expression="min by (namespace) (gateway_tls_expiration_timestamp_seconds > 0) - time() < <2d>",
        after="5m",
        means="the certificate in force ends within 2 days, or has ended",
        summary="The certificate of {{ $labels.namespace }} ends in {{ $value | humanizeDuration }}",
        description="After that no client connects.",
    ),
    Alert(
        name="CertificateNotInForce",
        severity="ticket",
        kind="symptom",
        expression="max by (namespace) (gateway_tls_outdated) > 0",
        after="5m",
        means="for 5 minutes the files of the certificate were not valid",
        summary="A new certificate of {{ $labels.namespace }} is not in force",
        description="Its files are not valid, so the gateway goes on with the one before, until that ends.",
    ),
    Alert(
        name="TenantsFileNotInForce",
        severity="ticket",
        kind="symptom",
        expression="max by (namespace) (gateway_tenants_outdated) > 0",
        after="5m",
        means="for 5 minutes an edit of the file of tenants was not valid",
        summary="An edit of the tenants of {{ $labels.namespace }} is not in force",
        description="The file is not valid, so the tenants before stay: what was revoked still works.",
    ),
    Alert(
        name="KeysOutdated",
        severity="page",
        kind="symptom",
        expression="max by (namespace) (gateway_keys_outdated) > 0",
        after="10m",
        means="for 10 minutes the keys of the store were as last known",
        summary="Keys that are revoked now still work in {{ $labels.namespace }}",
        description="The store does not respond, so the gateway goes on with the keys as last known.",
    ),
    Alert(
        name="IssuerKeysOutdated",
        severity="ticket",
        kind="symptom",
        expression="max by (namespace, issuer) (gateway_issuers_outdated) > 0",
        after="10m",
        means="for 10 minutes the keys of an issuer of tokens could not be read",
        summary="The keys of issuer {{ $labels.issuer }} cannot be read",
        description="Tokens are checked by the keys as last read; those with newer keys are rejected.",
    ),
]

GROUPS = [Group(name="gateway", interval="15s", rules=[*_RESPONDS, *_STORE, *_IN_FORCE])]
