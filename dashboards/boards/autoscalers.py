"""Rows of the board of scaling that a cluster has: Knative's autoscaler, activator and queue-proxy, and KEDA."""

from dashboards.panels import Panel, Query, Row
from dashboards.promql import EVERYWHERE, NAMESPACE, highest, mean, quantile, rate, select, total

_SERVICE = f'{NAMESPACE}, service=~"$model"'  # as PodMonitors relabel what Knative and its queue-proxies say
_SCALED_OBJECT = 'exported_namespace=~"$namespace"'

KNATIVE = Row(
    title="Knative",
    panels=(
        Panel(
            title="Pods wanted and there",
            text=(
                "What the autoscaler wants, and how many pods are there, by revision. Apart for long: nodes or images"
                " are missing."
            ),
            unit="short",
            queries=(
                Query(
                    total(select("kn_revision_pods_desired", _SERVICE), "kn_revision_name"),
                    "{{kn_revision_name}} wanted",
                ),
                Query(
                    total(select("kn_revision_pods_count", _SERVICE), "kn_revision_name"), "{{kn_revision_name}} there"
                ),
            ),
            boards=("switchyard-nodes",),
            alerts=("KnativeStuckScaleUp", "KnativeAtMaxScale"),
        ),
        Panel(
            title="Pods that are not ready",
            text="Not ready: starting or failing. Pending: without a node or an image. Terminating: draining.",
            unit="short",
            queries=tuple(
                Query(
                    total(select(f"kn_revision_pods_{state}_count", _SERVICE), "kn_revision_name"),
                    f"{{{{kn_revision_name}}}} {state}",
                )
                for state in ("not_ready", "pending", "terminating")
            ),
            alerts=("KnativeStuckScaleUp",),
        ),
        Panel(
            title="Panic",
            text=(
                "1 while the autoscaler looks at its short window only, as load grew suddenly; it does not scale down"
                " then."
            ),
            unit="short",
            queries=(
                Query(highest(select("kn_revision_panic_mode", _SERVICE), "kn_revision_name"), "{{kn_revision_name}}"),
            ),
            kind="states",
            alerts=("KnativePanicLong",),
        ),
        Panel(
            title="Concurrency and its target",
            text="Requests in flight, averaged over the long and the short window, and what a pod is meant to have.",
            unit="short",
            queries=tuple(
                Query(
                    total(select(f"kn_revision_concurrency_{window}", _SERVICE), "kn_revision_name"),
                    f"{{{{kn_revision_name}}}} {window}",
                )
                for window in ("stable", "panic", "target")
            ),
        ),
        Panel(
            title="Room for a burst",
            text=(
                "Requests that could come at once without waiting; below 0 the activator stays in the path and buffers."
            ),
            unit="short",
            queries=(
                Query(
                    total(select("kn_revision_capacity_excess", _SERVICE), "kn_revision_name"), "{{kn_revision_name}}"
                ),
            ),
        ),
        Panel(
            title="Requests in the activator",
            text=(
                "Requests that the activator passes or holds, by revision; while a model is at zero, those that wake "
                "it."
            ),
            unit="short",
            queries=(
                Query(
                    total(select("kn_revision_request_concurrency", _SERVICE), "kn_revision_name"),
                    "{{kn_revision_name}}",
                ),
            ),
            alerts=("RequestsHeldTooLong",),
        ),
        Panel(
            title="Activator and autoscaler",
            text=(
                "1 while the activator reaches the autoscaler; without it nothing wakes. Beside it, errors of the "
                "connection."
            ),
            unit="short",
            queries=(
                Query("min by (peer) (kn_activator_stats_conn_reachable)", "reaches {{peer}}"),
                Query(
                    rate("kn_activator_stats_conn_errors_total", EVERYWHERE, by=("peer",))
                    + " or 0 * min by (peer) (kn_activator_stats_conn_reachable)",  # it is not there before the first
                    "errors to {{peer}} each second",
                ),
            ),
            alerts=("ActivatorUnreachable",),
        ),
        Panel(
            title="Requests at the queue-proxy",
            text="Requests each second by status, beside each pod.",
            unit="reqps",
            queries=(
                Query(
                    rate(
                        "kn_serving_invocation_duration_seconds_count",
                        _SERVICE,
                        by=("service", "http_response_status_code"),
                    ),
                    "{{service}} {{http_response_status_code}}",
                ),
            ),
            stacked=True,
        ),
        Panel(
            title="Time at the queue-proxy",
            text="95 of 100 requests were faster; its buckets end at 10 s, so cold starts are beyond them.",
            unit="s",
            queries=(
                Query(
                    quantile(0.95, "kn_serving_invocation_duration_seconds", _SERVICE, by=("service",)),
                    "p95 {{service}}",
                ),
            ),
        ),
        Panel(
            title="Waiting at the queue-proxy",
            text="Requests beside each pod beyond its containerConcurrency.",
            unit="short",
            queries=(Query(total(select("kn_serving_queue_depth", _SERVICE), "service"), "{{service}}"),),
        ),
        Panel(
            title="Time of a scrape by the autoscaler",
            text="How long the autoscaler takes to ask pods for their concurrency: late answers make late scaling.",
            unit="s",
            queries=(
                Query(
                    mean("kn_autoscaler_scrape_duration_seconds", EVERYWHERE),
                    "mean",
                ),
            ),
        ),
        Panel(
            title="Work that waits in controllers",
            text="Objects that Knative's controllers have not looked at yet.",
            unit="short",
            queries=(Query("sum by (name) (kn_workqueue_depth)", "{{name}}"),),
        ),
    ),
)

KEDA = Row(
    title="KEDA",
    panels=(
        Panel(
            title="What KEDA measures",
            text="The value of each trigger, that the number of replicas is made of.",
            unit="short",
            queries=(
                Query(
                    total(select("keda_scaler_metrics_value", _SCALED_OBJECT), "scaledObject", "metric"),
                    "{{scaledObject}} {{metric}}",
                ),
            ),
        ),
        Panel(
            title="Triggers that are active",
            text="1 while a trigger asks for at least one replica.",
            unit="short",
            queries=(Query(highest(select("keda_scaler_active", _SCALED_OBJECT), "scaledObject"), "{{scaledObject}}"),),
            kind="states",
        ),
        Panel(
            title="Errors of triggers",
            text="Failed questions each second, mostly of a Prometheus that is away: KEDA then keeps its fallback.",
            unit="cps",
            queries=(
                Query(
                    rate("keda_scaler_detail_errors_total", _SCALED_OBJECT, by=("scaledObject", "scaler")),
                    "{{scaledObject}} {{scaler}}",
                ),
            ),
        ),
    ),
)
