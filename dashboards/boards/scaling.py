"""Cold starts and scaling: local mode's supervisor, Knative in a cluster, KEDA where a service is scaled by it."""

from dashboards import panels
from dashboards.boards.autoscalers import KEDA, KNATIVE
from dashboards.panels import Board, Panel, Query, Row
from dashboards.promql import MODEL, highest, increase, rate, select, total

_STARTS = Row(
    title="Starts",
    panels=(
        Panel(
            title="Phases of a start, last",
            text=(
                "What the last load of each model spent its time on: download and checks by the sync, then import, "
                "load, warm-up."
            ),
            unit="s",
            queries=(Query(total(select("model_load_time_seconds", MODEL), "model", "phase"), "{{model}} {{phase}}"),),
            stacked=True,
        ),
        Panel(
            title="Loads that failed",
            text="Loads in Triton that failed in the time shown, by reason; content is the model's own fault.",
            unit="short",
            queries=(
                Query(increase("model_load_failures_total", MODEL, by=("model", "reason")), "{{model}} {{reason}}"),
            ),
            boards=("switchyard-triton",),
            alerts=("ModelLoadFailing",),
        ),
        Panel(
            title="Comments to waiting streams",
            text="Streams that wait for a model get a comment now and then, so that nothing between closes them.",
            unit="cps",
            queries=(Query(rate("gateway_heartbeats_total", MODEL, by=("model",)), "{{model}}"),),
        ),
    ),
)

_LOCAL = Row(
    title="On one machine",
    panels=(
        Panel(
            title="Replicas",
            text="Running processes of each model; 0 is asleep.",
            unit="short",
            queries=(Query(total(select("local_replicas", MODEL), "model"), "{{model}}"),),
            kind="states",
            width=16,
        ),
        Panel(
            title="Requests held",
            text="Requests that wait for their model to wake.",
            unit="short",
            queries=(Query(total(select("local_requests_held", MODEL), "model"), "{{model}}"),),
            alerts=("RequestsHeldTooLong", "ModelWakeStuck"),
        ),
        Panel(
            title="Longest wait",
            text="Age of the oldest request that waits for its model to wake.",
            unit="s",
            queries=(Query(highest(select("local_oldest_held_seconds", MODEL), "model"), "{{model}}"),),
            limits=(30.0, 60.0),
            alerts=("RequestsHeldTooLong", "ModelWakeStuck"),
        ),
        Panel(
            title="Starts by reason",
            text=(
                "Processes started in the time shown: for a request, always on, after a crash, by a client's load, "
                "for new content."
            ),
            unit="short",
            queries=(Query(increase("local_starts_total", MODEL, by=("model", "reason")), "{{model}} {{reason}}"),),
            alerts=("ModelCrashLooping",),
        ),
        Panel(
            title="Time of a start's phases",
            text="Mean seconds of each phase over the starts of the time shown.",
            unit="s",
            queries=(
                Query(
                    f"{increase('local_start_seconds_sum', MODEL, by=('phase',))}"
                    f" / ({increase('local_start_seconds_count', MODEL, by=('phase',))} > 0)",
                    "{{phase}}",
                ),
            ),
            stacked=True,
        ),
        Panel(
            title="Slowest starts",
            text="95 of 100 starts of the time shown had the phase ready, their end, sooner than this.",
            unit="s",
            queries=(
                Query(
                    "histogram_quantile(0.95, "
                    + increase("local_start_seconds_bucket", MODEL, by=("le", "phase"))
                    + ")",
                    "p95 {{phase}}",
                ),
            ),
        ),
        Panel(
            title="Failed starts and ends",
            text=(
                "Starts that did not come to an end, and replicas that ended by themselves: by a crash, or killed, "
                "mostly for memory."
            ),
            unit="short",
            queries=(
                Query(increase("local_start_failures_total", MODEL, by=("model",)), "{{model}} did not start"),
                Query(increase("local_replica_exits_total", MODEL, by=("model", "reason")), "{{model}} {{reason}}"),
            ),
            alerts=("ModelStartFailing", "ModelCrashLooping"),
        ),
    ),
)

BOARD = Board(
    uid="switchyard-scaling",
    title="Cold starts and scaling",
    text="How models wake, sleep and multiply: by the supervisor on one machine, by Knative or KEDA in a cluster.",
    variables=(panels.NAMESPACE, panels.MODEL),
    rows=(_STARTS, _LOCAL, KNATIVE, KEDA),
)
