"""Adapters and rollouts: what the sync publishes, which adapters run, how a canary fares beside the stable version."""

from dashboards import panels
from dashboards.panels import Board, Panel, Query, Row
from dashboards.promql import MODEL, NAMESPACE, VLLM, increase, quantile, rate, select, share, total

_NO_DOWNLOAD = "Only models that come from elsewhere are downloaded; a folder of this machine is not."
_SERVICE = f'{NAMESPACE}, service=~"$model"'
_BY_REVISION = ("service", "kn_revision_name")

_REPOSITORY = Row(
    title="Model repository",
    panels=(
        Panel(
            title="Models published",
            text="Models that are there to be served, by group.",
            unit="short",
            queries=(Query(total(select("repository_models_published"), "group"), "{{group}}"),),
            kind="stat",
        ),
        Panel(
            title="Folders by state",
            text="State of each folder's newest content; a failed one keeps the content before it in service.",
            unit="short",
            queries=(Query(total(select("repository_models"), "group", "phase"), "{{group}} {{phase}}"),),
            stacked=True,
            alerts=("ModelFolderFailed",),
        ),
        Panel(
            title="Verdicts",
            text="Folders judged in the time shown: ok, or the code of the first fault.",
            unit="short",
            queries=(Query(increase("repository_verdicts_total", by=("group", "code")), "{{group}} {{code}}"),),
            alerts=("ModelFolderFailed",),
        ),
        Panel(
            title="Downloads",
            text="Bytes each second from S3, GCS, a hub or a registry.",
            unit="Bps",
            queries=(
                Query(rate("repository_downloaded_bytes_total", by=("scheme",)), "{{scheme}}", no_data=_NO_DOWNLOAD),
            ),
        ),
        Panel(
            title="Downloads that failed",
            text="In the time shown, and those that fail now, by the kind of source; the status of the model says why.",
            unit="short",
            queries=(
                Query(
                    increase("repository_download_failures_total", by=("scheme",)), "{{scheme}}", no_data=_NO_DOWNLOAD
                ),
                Query(total(select("repository_downloads_failing"), "scheme"), "{{scheme}} now", no_data=_NO_DOWNLOAD),
            ),
            alerts=("DownloadsFailing",),
        ),
        Panel(
            title="New content taken over",
            text="Starts for new content of a model's folder in the time shown, on one machine.",
            unit="short",
            queries=(
                Query(
                    increase("local_starts_total", f'{MODEL}, reason="content"', by=("model",)),
                    "{{model}}",
                    no_data="A model whose folder never changed took nothing over.",
                ),
            ),
            boards=("switchyard-scaling",),
        ),
    ),
)

_ADAPTERS = Row(
    title="LoRA adapters",
    panels=(
        Panel(
            title="Adapters in use",
            text=(
                "Which adapters have requests in the batch, of engines with --enable-lora; the value is the time when"
                " the engine said so."
            ),
            unit="dateTimeFromNow",
            queries=(
                Query(
                    "max by (running_lora_adapters, waiting_lora_adapters, max_lora)"
                    f" ({select('vllm:lora_requests_info')}) * 1000",
                    "{{running_lora_adapters}}, waiting: {{waiting_lora_adapters}}, slots: {{max_lora}}",
                ),
            ),
            kind="table",
            width=12,
        ),
        Panel(
            title="Waiting for a slot",
            text="Requests that wait as their adapter has no slot or another thing must end first.",
            unit="short",
            queries=(
                Query(
                    total(select("vllm:num_requests_waiting_by_reason", f'{VLLM}, reason="deferred"'), "model_name"),
                    "{{model_name}}",
                ),
            ),
            width=12,
            boards=("switchyard-models",),
        ),
    ),
)

_ROLLOUTS = Row(
    title="Canary beside stable",
    panels=(
        Panel(
            title="Requests by revision",
            text="Requests each second at each revision's pods: the share of a canary.",
            unit="reqps",
            queries=(
                Query(
                    rate("kn_serving_invocation_duration_seconds_count", _SERVICE, by=_BY_REVISION),
                    "{{kn_revision_name}}",
                ),
            ),
            stacked=True,
        ),
        Panel(
            title="Failures by revision",
            text="Part of each revision's requests that ended with 5xx; a canary above the stable one is rolled back.",
            unit="percentunit",
            queries=(
                Query(
                    share(
                        rate(
                            "kn_serving_invocation_duration_seconds_count",
                            f'{_SERVICE}, http_response_status_code=~"5.."',
                            by=_BY_REVISION,
                        ),
                        rate("kn_serving_invocation_duration_seconds_count", _SERVICE, by=_BY_REVISION),
                    ),
                    "{{kn_revision_name}}",
                ),
            ),
            maximum=1,
            alerts=("ModelAvailabilityBurn",),
        ),
        Panel(
            title="Time by revision",
            text="95 of 100 requests of a revision were faster.",
            unit="s",
            queries=(
                Query(
                    quantile(0.95, "kn_serving_invocation_duration_seconds", _SERVICE, by=_BY_REVISION),
                    "p95 {{kn_revision_name}}",
                ),
            ),
        ),
        Panel(
            title="Splits of graphs",
            text="Runs each second of the steps of graphs; a splitter's weights are to be seen.",
            unit="reqps",
            queries=(
                Query(
                    rate("graph_step_requests_total", by=("service", "node", "step")), "{{service}} {{node}}/{{step}}"
                ),
            ),
            boards=("switchyard-routing",),
        ),
        Panel(
            title="Versions that run",
            text="Processes by version and component: two versions of a component are a rollout that goes on.",
            unit="short",
            queries=(
                Query(
                    f"count by (component, version) ({select('switchyard_build_info')})", "{{component}} {{version}}"
                ),
            ),
            boards=("switchyard-health",),
        ),
        Panel(
            title="Failures by model",
            text="Part of what each predictor finished that failed, after a rollout compared with before.",
            unit="percentunit",
            queries=(
                Query(
                    share(
                        rate("inference_requests_total", f'{MODEL}, outcome="failed"', by=("model",)),
                        rate("inference_requests_total", MODEL, by=("model",)),
                    ),
                    "{{model}}",
                ),
            ),
            maximum=1,
            alerts=("ModelAvailabilityBurn",),
        ),
    ),
)

BOARD = Board(
    uid="switchyard-rollouts",
    title="Adapters and rollouts",
    text="What is published, which adapters run, and how a canary fares.",
    variables=(panels.NAMESPACE, panels.MODEL),
    rows=(_REPOSITORY, _ADAPTERS, _ROLLOUTS),
)
