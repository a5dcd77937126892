"""Health of the platform's own processes, and of what observes them."""

from dashboards import panels
from dashboards.panels import Board, Panel, Query, Row
from dashboards.promql import NAMESPACE, rate, select, total

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
            queries=(Query(f"max by (job, instance) ({select('process_resident_memory_bytes')})", _EACH),),
            alerts=("ProcessMemoryHigh",),
        ),
        Panel(
            title="File descriptors",
            text="Part of the descriptors a process may open that are open.",
            unit="percentunit",
            queries=(
                Query(
                    f"max by (job, instance) ({select('process_open_fds')})"
                    f" / (max by (job, instance) ({select('process_max_fds')}) > 0)",
                    _EACH,
                ),
            ),
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
                ),
                Query(f"max by (instance) ({select('gateway_tls_outdated')})", "{{instance}} not in force"),
            ),
            floors=(86400.0, 1209600.0),  # a day, two weeks
            no_data="A gateway without TLS has no certificate.",
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
            queries=(Query(f"max by (job) ({select('scrape_duration_seconds')})", "{{job}}"),),
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
                    "sum by (rule_group) (rate(prometheus_rule_evaluation_failures_total[$__rate_interval]))",
                    "{{rule_group}}",
                ),
            ),
            no_data="Prometheus has the series once rules are loaded.",
            alerts=("RuleEvaluationFailing",),
        ),
        Panel(
            title="Alerts on their way",
            text="Notifications each second that Prometheus sent, and that it lost, to Alertmanager.",
            unit="cps",
            queries=(
                Query("sum(rate(prometheus_notifications_sent_total[$__rate_interval]))", "sent"),
                Query("sum(rate(prometheus_notifications_dropped_total[$__rate_interval]))", "lost"),
            ),
            alerts=("AlertDeliveryFailing", "Watchdog"),
        ),
        Panel(
            title="Notifications of Alertmanager",
            text="Each second to receivers, and those that failed.",
            unit="cps",
            queries=(
                Query(
                    "sum by (integration) (rate(alertmanager_notifications_total[$__rate_interval]))", "{{integration}}"
                ),
                Query(
                    "sum by (integration) (rate(alertmanager_notifications_failed_total[$__rate_interval]))",
                    "{{integration}} failed",
                ),
            ),
            alerts=("AlertDeliveryFailing",),
        ),
    ),
)

_COLLECTOR = Row(
    title="Traces and logs",
    panels=(
        Panel(
            title="Spans",
            text="Spans each second that the collector took, sent on, and could not send.",
            unit="cps",
            queries=(
                Query("sum(rate(otelcol_receiver_accepted_spans_total[$__rate_interval]))", "taken"),
                Query("sum(rate(otelcol_exporter_sent_spans_total[$__rate_interval]))", "sent"),
                Query("sum(rate(otelcol_exporter_send_failed_spans_total[$__rate_interval]))", "not sent"),
            ),
            alerts=("CollectorDroppingSpans", "CollectorExportFailing"),
        ),
        Panel(
            title="Log lines",
            text="Lines each second that the collector took, sent on, and could not send.",
            unit="cps",
            queries=(
                Query("sum(rate(otelcol_receiver_accepted_log_records_total[$__rate_interval]))", "taken"),
                Query("sum(rate(otelcol_exporter_sent_log_records_total[$__rate_interval]))", "sent"),
                Query("sum(rate(otelcol_exporter_send_failed_log_records_total[$__rate_interval]))", "not sent"),
            ),
            alerts=("CollectorExportFailing",),
        ),
        Panel(
            title="Collector's queues",
            text="Part of each exporter's queue that is full; a full one loses what comes.",
            unit="percentunit",
            queries=(
                Query(
                    "max by (exporter) (otelcol_exporter_queue_size)"
                    " / (max by (exporter) (otelcol_exporter_queue_capacity) > 0)",
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
