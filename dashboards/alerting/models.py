"""Alerts of models and graphs: what their callers notice, and what of a model's folder is wrong."""

from dashboards.alerting.rules import Alert, Group

_MODEL = "sum by (namespace, model)"

_LOCAL = [
    Alert(
        name="RequestsHeldTooLong",
        severity="page",
        kind="symptom",
        expression="max by (namespace, model) (local_oldest_held_seconds) > <3m>",
        means="local mode: a request has waited more than 3 minutes for its model to wake",
        summary="Requests for {{ $labels.model }} are held",
        description="The oldest has waited {{ $value | humanizeDuration }} for {{ $labels.model }} to wake.",
    ),
    Alert(
        name="ModelWakeStuck",
        severity="page",
        kind="symptom",
        expression="max by (namespace, model) (local_requests_held) > 0 unless "
        f'{_MODEL} (increase(local_start_seconds_count{{phase="ready"}}[10m])) > 0',
        after="10m",
        means="local mode: for 10 minutes requests were held for a model, and no start of it ended well",
        summary="{{ $labels.model }} does not wake",
        description="{{ $value }} requests are held; some have been for 10 minutes, and no start became ready.",
    ),
    Alert(
        name="ModelCrashLooping",
        severity="page",
        kind="symptom",
        expression=f"{_MODEL} (increase(local_replica_exits_total[10m])) >= 3",
        means="local mode: a model's process ended three times in 10 minutes while it served",
        summary="{{ $labels.model }} crashes again and again",
        description='Its process ended {{ $value | printf "%.0f" }} times in 10 minutes; each time its calls are lost.',
    ),
    Alert(
        name="ModelStartFailing",
        severity="ticket",
        kind="symptom",
        expression=f"{_MODEL} (increase(local_start_failures_total[15m])) >= 2",
        means="local mode: two starts of a model failed in 15 minutes",
        summary="{{ $labels.model }} cannot be started",
        description='{{ $value | printf "%.0f" }} starts failed in 15 minutes; `switchyard status` says why.',
    ),
]

_REPOSITORY = [
    Alert(
        name="ModelFolderFailed",
        severity="ticket",
        kind="symptom",
        expression='sum by (namespace, group) (repository_models{phase="failed"}) > 0',
        after="5m",
        means="for 5 minutes the newest content of a model's folder was not published",
        summary="A model of group {{ $labels.group }} is not published",
        description="The newest content of {{ $value }} folders failed; what was published before is served on.",
    ),
    Alert(
        name="DownloadsFailing",
        severity="ticket",
        kind="symptom",
        # Not of failures that are counted: each is, once, however often it is tried again.
        expression="sum by (namespace, scheme) (repository_downloads_failing) > 0",
        after="5m",
        means="for 5 minutes models could not be brought from one kind of source, though that was tried again",
        summary="Models cannot be downloaded by {{ $labels.scheme }}",
        description="{{ $value }} models or sources in {{ $labels.namespace }} cannot be read where they lie.",
    ),
    Alert(
        name="ModelLoadFailing",
        severity="ticket",
        kind="symptom",
        # A failure makes the series, and `increase` sees no first value.
        expression="sum by (namespace, model, reason) (increase(model_load_failures_total[15m])) > 0 or sum by "
        "(namespace, model, reason) (model_load_failures_total unless model_load_failures_total offset 15m) > 0",
        means="Triton could not load a model in the last 15 minutes",
        summary="{{ $labels.model }} cannot be loaded",
        description='{{ $value | printf "%.0f" }} loads in Triton failed in 15 minutes: {{ $labels.reason }}.',
    ),
]

_STEP = "sum by (namespace, service, node, step)"
_NODE = "sum by (namespace, service, node)"

_GRAPHS = [
    Alert(
        name="GraphStepFailing",
        severity="ticket",
        kind="symptom",
        expression=f'{_STEP} (rate(graph_step_requests_total{{code=~"5..|error"}}[5m])) / '
        f'({_STEP} (rate(graph_step_requests_total{{code!="cancelled"}}[5m])) > 0) > 0.1 and '
        f"{_STEP} (increase(graph_step_requests_total[5m])) >= 20",
        after="2m",
        means="more than a tenth of the calls of a graph's step fail, of at least 20 in 5 minutes",
        summary="Step {{ $labels.step }} of graph {{ $labels.service }} fails",
        description="{{ $value | humanizePercentage }} of the calls of step {{ $labels.step }} in node "
        "{{ $labels.node }} have no response or one of 500 and above.",
    ),
    Alert(
        name="GraphStepUnmatched",
        severity="ticket",
        kind="symptom",
        # Requests without a step reach none, so their node counts no seconds of them.
        expression=f"{_NODE} (rate(graph_node_unmatched_total[15m])) / "
        f"({_NODE} (rate(graph_node_seconds_count[15m])) + {_NODE} (rate(graph_node_unmatched_total[15m])) > 0) > 0.05 "
        f"and {_NODE} (increase(graph_node_unmatched_total[15m])) >= 10",
        after="5m",
        means="for more than a twentieth of its requests a node has no step, and for at least 10 in 15 minutes",
        summary="Graph {{ $labels.service }} has no step for some requests",
        description="{{ $value | humanizePercentage }} of the requests of node {{ $labels.node }} match no condition.",
    ),
    Alert(
        name="RoutingShareOff",
        severity="ticket",
        kind="symptom",
        expression="abs(max by (namespace) (routing_share) - max by (namespace) (routing_share_target)) > 0.15 and "
        "sum by (namespace) (increase(routing_decisions_total[1h])) >= 500",
        after="30m",
        means="for 30 minutes reasoning got a share of chats that was more than 15 points off, of 500 an hour or more",
        summary="Routing in {{ $labels.namespace }} is off its target",
        description="The share of chats that go to reasoning is {{ $value | humanizePercentage }} off.",
    ),
]

GROUPS = [Group(name="models", interval="15s", rules=[*_LOCAL, *_REPOSITORY, *_GRAPHS])]
