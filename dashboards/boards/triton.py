"""Triton: what it runs, how long requests wait there, what fails."""

from dashboards import panels
from dashboards.panels import Board, Panel, Query, Row
from dashboards.promql import MODEL, highest, increase, rate, ratio, select, total, used

_BY = ("model",)
_MICROSECONDS = 1e6
_LOAD = f'{MODEL}, phase="load"'


def _mean(part: str) -> str:
    """Return the mean seconds that a successful request spent in ``part``; Triton sums microseconds."""
    spent = rate(f"nv_inference_{part}_duration_us", MODEL, by=_BY)
    return f"{ratio(spent, rate('nv_inference_request_success', MODEL, by=_BY))} / {_MICROSECONDS:.0f}"


_REQUESTS = Row(
    title="Requests",
    panels=(
        Panel(
            title="Requests",
            text="Requests each second that models in Triton finished well.",
            unit="reqps",
            queries=(Query(rate("nv_inference_request_success", MODEL, by=_BY), "{{model}}"),),
            stacked=True,
            boards=("switchyard-models",),
        ),
        Panel(
            title="Failed requests by reason",
            text="REJECTED: the queue is full or too old; CANCELED: the client left; BACKEND: the model itself failed.",
            unit="reqps",
            queries=(
                Query(rate("nv_inference_request_failure", MODEL, by=("model", "reason")), "{{model}} {{reason}}"),
            ),
            stacked=True,
            alerts=("TritonRejecting", "ModelAvailabilityBurn"),
        ),
        Panel(
            title="Waiting in Triton",
            text="Requests in a model's queue that no instance has taken.",
            unit="short",
            queries=(Query(total(select("nv_inference_pending_request_count", MODEL), "model"), "{{model}}"),),
            alerts=("TritonQueueLong",),
        ),
        Panel(
            title="Where the time goes",
            text="Mean seconds of a request: queue, input, inference, output. Triton has sums only, so no quantiles.",
            unit="s",
            queries=tuple(
                Query(_mean(part), f"{{{{model}}}} {name}")
                for part, name in (
                    ("queue", "queue"),
                    ("compute_input", "input"),
                    ("compute_infer", "inference"),
                    ("compute_output", "output"),
                )
            ),
            stacked=True,
            alerts=("TritonQueueLong",),
        ),
        Panel(
            title="Time of a request",
            text="Mean seconds of a request inside Triton.",
            unit="s",
            queries=(Query(_mean("request"), "{{model}}"),),
            boards=("switchyard-models",),
        ),
        Panel(
            title="Batch",
            text="Inferences of an execution, on average: 1 means that dynamic batching finds nothing to join.",
            unit="short",
            queries=(
                Query(
                    ratio(rate("nv_inference_count", MODEL, by=_BY), rate("nv_inference_exec_count", MODEL, by=_BY)),
                    "{{model}}",
                ),
            ),
        ),
    ),
)

_MACHINE = Row(
    title="Models and machine",
    panels=(
        Panel(
            title="Seconds of a load",
            text="How long each model that Triton has loaded took to load.",
            unit="s",
            queries=(Query(highest(select("model_load_time_seconds", _LOAD), "model"), "{{model}}"),),
            boards=("switchyard-scaling", "switchyard-rollouts"),
        ),
        Panel(
            title="Loads that failed",
            text="In the time shown: by the model's content, or as Triton was unreachable.",
            unit="short",
            queries=(
                Query(increase("model_load_failures_total", MODEL, by=("model", "reason")), "{{model}} {{reason}}"),
            ),
            alerts=("ModelLoadFailing",),
        ),
        Panel(
            title="Processor and memory",
            text="Of the machine or pod that Triton runs on, as it sees it: parts that are in use.",
            unit="percentunit",
            queries=(
                Query(f"max({select('nv_cpu_utilization')})", "processor"),
                Query(
                    f"max({select('nv_cpu_memory_used_bytes')}) / (max({select('nv_cpu_memory_total_bytes')}) > 0)",
                    "memory",
                ),
            ),
            maximum=1,
            boards=("switchyard-nodes",),
        ),
        Panel(
            title="GPU by Triton",
            text=(
                "Part of time that each device was busy, and of its memory that is used. Triton says it with a GPU"
                " only; the board of nodes has it from DCGM."
            ),
            unit="percentunit",
            queries=(
                Query(highest(select("nv_gpu_utilization"), "gpu_uuid"), "{{gpu_uuid}} busy"),
                Query(
                    used("nv_gpu_memory_used_bytes", "nv_gpu_memory_total_bytes", by=("gpu_uuid",)),
                    "{{gpu_uuid}} memory",
                ),
            ),
            maximum=1,
            boards=("switchyard-nodes",),
        ),
    ),
)

BOARD = Board(
    uid="switchyard-triton",
    title="Triton",
    text="Vision and other models that Triton runs: their traffic, queues, batches and failures.",
    variables=(panels.NAMESPACE, panels.MODEL),
    rows=(_REQUESTS, _MACHINE),
)
