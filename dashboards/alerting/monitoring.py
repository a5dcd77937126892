"""Alerts of monitoring itself and of every process: what would otherwise fail in silence."""

from dashboards.alerting.rules import Alert, Group

_PROCESSES = [
    Alert(
        name="TargetDown",
        severity="ticket",
        kind="symptom",
        expression="min by (namespace, job, instance) (up) == 0",
        after="5m",
        means="for 5 minutes the metrics of a process could not be read",
        summary="{{ $labels.job }} {{ $labels.instance }} is down",
        description="Prometheus cannot read its metrics; its alerts are silent meanwhile.",
    ),
    Alert(
        name="ProcessFileDescriptors",
        severity="ticket",
        kind="cause",
        # A process that accepts no connection cannot be scraped: what it said last holds while it is a target.
        expression="max by (namespace, job, instance) (last_over_time(process_open_fds[15m]) / "
        "(last_over_time(process_max_fds[15m]) > 0)) > 0.8 and on (namespace, job, instance) up",
        after="5m",
        means="for 5 minutes a process had more than 80 % of the files and sockets open that it may have",
        summary="{{ $labels.job }} {{ $labels.instance }} runs out of file descriptors",
        description="{{ $value | humanizePercentage }} are open; at all of them it accepts no connection.",
    ),
    Alert(
        name="ProcessMemoryHigh",
        severity="ticket",
        kind="cause",
        # The limit of both in manifests/: they hold no model, and a flood costs them tens of megabytes.
        expression='max by (namespace, job, instance) (process_resident_memory_bytes{job=~"gateway|graph"}) > '
        "0.8 * 512 * 1024 * 1024",
        after="10m",
        means="for 10 minutes a gateway or graph router used more than 80 % of the 512 MiB that its container may",
        summary="{{ $labels.job }} {{ $labels.instance }} uses much memory",
        description="{{ $value | humanize1024 }}B are resident; at 512 MiB its container is ended.",
    ),
]

_EXPORTER = "sum by (namespace, instance, exporter)"

_MONITORING = [
    Alert(
        name="Watchdog",
        severity="none",
        kind="monitoring",
        expression="vector(1)",
        means="always: whoever gets it knows that alerts arrive",
        summary="Alerts arrive",
        description="This fires always. If it ends, Prometheus or Alertmanager does not work.",
    ),
    Alert(
        name="ScrapeTooBig",
        severity="ticket",
        kind="monitoring",
        expression="max by (namespace, job, instance) (scrape_samples_post_metric_relabeling) > 400000",
        after="15m",
        means="for 15 minutes a process had more than 400 000 series: a gateway at all its bounds has 369 000",
        summary="{{ $labels.job }} {{ $labels.instance }} has too many series",
        description="{{ $value }} series are read each time; a label has more values than was thought.",
    ),
    Alert(
        name="RuleEvaluationFailing",
        severity="ticket",
        kind="monitoring",
        expression="sum by (instance, rule_group) (increase(prometheus_rule_evaluation_failures_total[10m])) > 0",
        after="5m",
        means="a rule could not be evaluated in the last 10 minutes",
        summary="Rules of {{ $labels.rule_group }} fail",
        description="Prometheus {{ $labels.instance }} cannot evaluate them, so their alerts are silent.",
    ),
    Alert(
        name="AlertDeliveryFailing",
        severity="page",
        kind="monitoring",
        # Prometheus sends again each minute at the latest, and loses some when it starts before it has found
        # Alertmanager: what ends by itself is over before `for` is. Alertmanager gives a message up once in a
        # `group_interval`, of which the longest is 5 minutes: 15 minutes have two at least; 1.5, as one may be taken
        # for a little more.
        expression="sum by (instance) (increase(prometheus_notifications_dropped_total[3m])) > 0 or sum by (instance, "
        "integration) (increase(alertmanager_notifications_failed_total[15m])) > 1.5",
        after="5m",
        means="for 5 minutes alerts were lost on their way to Alertmanager again and again, or its messages failed "
        "twice",
        summary="Alerts do not arrive",
        description='{{ $value | printf "%.0f" }} alerts or messages were lost by {{ $labels.instance }} '
        "{{ $labels.integration }}.",
    ),
    Alert(
        name="CollectorDroppingSpans",
        severity="ticket",
        kind="monitoring",
        expression="sum by (namespace, instance) (increase(otelcol_receiver_refused_spans_total[5m])) > 0 or sum by "
        "(namespace, instance) (increase(otelcol_exporter_enqueue_failed_spans_total[5m])) > 0 or sum by (namespace, "
        "instance) (increase(otelcol_processor_tail_sampling_sampling_trace_dropped_too_early_total[5m])) > 0",
        after="5m",
        means="for 5 minutes the collector did not take spans, had no room for them, or lost traces undecided",
        summary="The collector of {{ $labels.namespace }} drops spans",
        description='{{ $value | printf "%.0f" }} spans or traces of 5 minutes were lost.',
    ),
    Alert(
        name="CollectorExportFailing",
        severity="ticket",
        kind="monitoring",
        expression=f"{_EXPORTER} (increase(otelcol_exporter_send_failed_spans_total[5m])) > 0 or "
        f"{_EXPORTER} (increase(otelcol_exporter_send_failed_log_records_total[5m])) > 0",
        after="5m",
        means="the collector could not send spans or log lines for 5 minutes",
        summary="The collector of {{ $labels.namespace }} cannot send to {{ $labels.exporter }}",
        description='{{ $value | printf "%.0f" }} spans or lines of 5 minutes were not taken.',
    ),
]

GROUPS = [Group(name="monitoring", interval="15s", rules=[*_PROCESSES, *_MONITORING])]
