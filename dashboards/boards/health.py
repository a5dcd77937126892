"""Health of the platform's own processes, and of what observes them."""

from dashboards import panels
from dashboards.panels import Board, Panel, Query, Row
from dashboards.promql import EVERYWHERE, NAMESPACE, highest, rate, select, total, used

_EACH = "{{job}} {{instance}}"

_PROCESSES = Row(
    title="Processes",
    panels=(
        Panel(
            title="Targets that respond",
            text="Of each job, how many targets answered the last scrape; a sleeping model is no target.",
            unit="short",
            queries=(
                Query(total(select("up"), "job"), "{{job}}"),
                Query(f"count by (job) ({select('up')}) - {total(select('up'), 'job')}", "{{job}} down"),
            ),
            alerts=("TargetDown", "GatewayDown", "NoGatewayResponds"),
        ),
        Panel(
            title="Processors used",
            text="Processor seconds each second: 1 is a whole core.",
            unit="short",
            queries=(Query(rate("process_cpu_seconds_total", by=("job", "instance")), _EACH),),
        ),
        Panel(
            title="Memory",
            text="Resident memory of each process.",
            unit="bytes",
            queries=(Query(highest(select("process_resident_memory_bytes"), "job", "instance"), _EACH),),
            alerts=("ProcessMemoryHigh",),
        ),
        Panel(
            title="File descriptors",
            text="Part of the descriptors a process may open that are open.",
            unit="percentunit",
            queries=(Query(used("process_open_fds", "process_max_fds", by=("job", "instance")), _EACH),),
            maximum=1,
            limits=(0.7, 0.9),
            alerts=("ProcessFileDescriptors",),
        ),
        Panel(
            title="Running since",
            text="When each process started: young ones restart.",
            unit="dateTimeFromNow",
            queries=(Query(f"max by (job, instance) ({select('process_start_time_seconds')}) * 1000", _EACH),),
            kind="table",
            alerts=("ModelCrashLooping",),
        ),
        Panel(
            title="Python's garbage collections",
            text="Each second, of the oldest generation: many mean that a process makes objects that live long.",
            unit="cps",
            queries=(
                Query(
                    rate("python_gc_collections_total", f'{NAMESPACE}, generation="2"', by=("job", "instance")), _EACH
                ),
            ),
        ),
        Panel(
            title="Certificate",
            text="Seconds until the first certificate of the chain in force expires, by gateway.",
            unit="s",
            queries=(
                Query(
                    f"min by (instance) (({select('gateway_tls_expiration_timestamp_seconds')} > 0) - time())",
                    "{{instance}}",
                    no_data="A gateway without TLS has no certificate.",
                ),
                Query(highest(select("gateway_tls_outdated"), "instance"), "{{instance}} not in force"),
            ),
            floors=(86400.0, 1209600.0),  # a day, two weeks
            alerts=("CertificateExpiresSoon", "CertificateNotInForce"),
        ),
        Panel(
            title="Versions",
            text="Processes by component and version.",
            unit="short",
            queries=(
                Query(
                    f"count by (component, version) ({select('switchyard_build_info')})", "{{component}} {{version}}"
                ),
            ),
            kind="table",
            boards=("switchyard-rollouts",),
        ),
    ),
)

_PROMETHEUS = Row(
    title="Prometheus and Alertmanager",
    panels=(
        Panel(
            title="Time of scrapes",
            text="Slowest target of each job.",
            unit="s",
            queries=(Query(highest(select("scrape_duration_seconds"), "job"), "{{job}}"),),
            alerts=("TargetDown",),
        ),
        Panel(
            title="Samples of a scrape",
            text="What each job exposes, all targets together: the cost of its labels.",
            unit="short",
            queries=(Query(total(select("scrape_samples_scraped"), "job"), "{{job}}"),),
            stacked=True,
            alerts=("ScrapeTooBig",),
        ),
        Panel(
            title="Series",
            text="Time series in Prometheus' memory.",
            unit="short",
            queries=(Query("sum by (instance) (prometheus_tsdb_head_series)", "{{instance}}"),),
        ),
        Panel(
            title="Rules that fail",
            text="Evaluations of rules that failed each second: their alerts are blind.",
            unit="cps",
            queries=(
                Query(
                    rate("prometheus_rule_evaluation_failures_total", EVERYWHERE, by=("rule_group",)),
                    "{{rule_group}}",
                ),
            ),
            alerts=("RuleEvaluationFailing",),
        ),
        Panel(
            title="Alerts on their way",
            text="Notifications each second that Prometheus sent, and that it lost, to Alertmanager.",
            unit="cps",
            queries=(
                Query(rate("prometheus_notifications_sent_total", EVERYWHERE), "sent"),
                Query(rate("prometheus_notifications_dropped_total", EVERYWHERE), "lost"),
            ),
            alerts=("AlertDeliveryFailing", "Watchdog"),
        ),
        Panel(
            title="Notifications of Alertmanager",
            text="Each second to receivers, and those that failed.",
            unit="cps",
            queries=(
                Query(rate("alertmanager_notifications_total", EVERYWHERE, by=("integration",)), "{{integration}}"),
                Query(
                    rate("alertmanager_notifications_failed_total", EVERYWHERE, by=("integration",)),
                    "{{integration}} failed",
                ),
            ),
            alerts=("AlertDeliveryFailing",),
        ),
    ),
)


def _passed(kind: str, unsent: str = "") -> tuple[Query, ...]:
    """Return what the collector took of spans or of log records, and what became of it."""
    steps = {"receiver_accepted": "taken", "exporter_sent": "sent", "exporter_send_failed": "not sent"}
    return tuple(
        Query(
            rate(f"otelcol_{step}_{kind}_total", EVERYWHERE), legend, no_data=unsent if step.endswith("failed") else ""
        )
        for step, legend in steps.items()
    )


_COLLECTOR = Row(
    title="Traces and logs",
    panels=(
        Panel(
            title="Spans",
            text="Spans each second that the collector took, sent on, and could not send.",
            unit="cps",
            queries=_passed("spans"),
            alerts=("CollectorDroppingSpans", "CollectorExportFailing"),
        ),
        Panel(
            title="Log lines",
            text="Lines each second that the collector took, sent on, and could not send.",
            unit="cps",
            queries=_passed(
                "log_records", "Lines are sent again until the store takes them: those it rejects are not sent."
            ),
            alerts=("CollectorExportFailing",),
        ),
        Panel(
            title="Collector's queues",
            text="Part of each exporter's queue that is full; a full one loses what comes.",
            unit="percentunit",
            queries=(
                Query(
                    used(
                        "otelcol_exporter_queue_size", "otelcol_exporter_queue_capacity", EVERYWHERE, by=("exporter",)
                    ),
                    "{{exporter}}",
                ),
            ),
            maximum=1,
            limits=(0.5, 0.9),
            alerts=("CollectorExportFailing",),
        ),
    ),
)

BOARD = Board(
    uid="switchyard-health",
    title="Health of the platform",
    text="The platform's own processes, and what observes them.",
    variables=(panels.NAMESPACE,),
    rows=(_PROCESSES, _PROMETHEUS, _COLLECTOR),
)
