"""Models: what clients see of them at the gateway, then the predictor, then the engine inside."""

from dashboards import panels
from dashboards.panels import Board, Panel, Query, Row
from dashboards.promql import MODEL, NAMESPACE, VLLM, highest, mean, quantile, rate, select, share, total

_BY_MODEL = ("model",)
_BY_ENGINE = ("model_name",)

_GATEWAY = Row(
    title="At the gateway",
    panels=(
        Panel(
            title="Requests by model",
            text="Requests each second.",
            unit="reqps",
            queries=(Query(rate("gateway_requests_total", MODEL, by=_BY_MODEL), "{{model}}"),),
            stacked=True,
            boards=("switchyard-slo",),
        ),
        Panel(
            title="Failed and rejected",
            text="Part of each model's requests that failed (ours to mend) or were rejected (the caller's).",
            unit="percentunit",
            queries=tuple(
                Query(
                    share(
                        rate("gateway_requests_total", f'{MODEL}, outcome="{outcome}"', by=_BY_MODEL),
                        rate("gateway_requests_total", MODEL, by=_BY_MODEL),
                    ),
                    f"{{{{model}}}} {outcome}",
                )
                for outcome in ("failed", "rejected")
            ),
            maximum=1,
            alerts=("ModelAvailabilityBurn",),
        ),
        Panel(
            title="Cancelled by clients",
            text="Requests each second whose client disconnected before the end; the engine's slot is freed.",
            unit="reqps",
            queries=(Query(rate("gateway_cancelled_total", MODEL, by=_BY_MODEL), "{{model}}"),),
        ),
        Panel(
            title="Time to first byte",
            text="95 of 100 requests had their first byte sooner; waking and waiting included.",
            unit="s",
            queries=(
                Query(
                    quantile(0.95, "gateway_first_byte_seconds", MODEL, by=_BY_MODEL), "p95 {{model}}", exemplars=True
                ),
            ),
            boards=("switchyard-scaling",),
            alerts=("ModelFirstTokenBurn",),
        ),
        Panel(
            title="Time of a request",
            text="From request to last byte, by route: half and 95 of 100 were faster.",
            unit="s",
            queries=panels.quantiles("gateway_request_seconds", "{{route}}", MODEL, by=("route",), exemplars=True),
        ),
        Panel(
            title="Time per output token",
            text="Of streamed responses as clients see them: half and 95 of 100 were faster.",
            unit="s",
            queries=panels.quantiles("gateway_time_per_output_token_seconds", "{{model}}", MODEL, by=_BY_MODEL),
            alerts=("ModelInterTokenBurn",),
        ),
        Panel(
            title="Waiting for a place",
            text="Requests that wait as their model is full, and how long 95 of 100 waited of those that had to.",
            unit="short",
            queries=(Query(total(select("gateway_requests_waiting", MODEL), "model"), "{{model}}"),),
            alerts=("QueueForPlaceLong",),
        ),
        Panel(
            title="Time waited for a place",
            text="95 of 100 waited shorter, of those that had to wait.",
            unit="s",
            queries=(
                Query(
                    quantile(0.95, "gateway_waiting_seconds", MODEL, by=_BY_MODEL),
                    "p95 {{model}}",
                    no_data="Nobody waits unless a model is full.",
                ),
            ),
            alerts=("QueueForPlaceLong",),
        ),
        Panel(
            title="Retries before the first byte",
            text="A replica died or did not accept: the gateway asked another one. Clients did not notice.",
            unit="cps",
            queries=(Query(rate("gateway_upstream_retries_total", MODEL, by=_BY_MODEL), "{{model}}"),),
            boards=("switchyard-scaling",),
            alerts=("ModelCrashLooping",),
        ),
    ),
)

_PREDICTORS = Row(
    title="In the predictor",
    panels=(
        Panel(
            title="Inference requests by outcome",
            text="Requests each second that a predictor finished, language and vision alike.",
            unit="reqps",
            queries=(Query(rate("inference_requests_total", MODEL, by=("model", "outcome")), "{{model}} {{outcome}}"),),
            stacked=True,
        ),
        Panel(
            title="Time of inference",
            text=(
                "From request to last byte inside the predictor, by protocol: 95 of 100 were faster. Compare with the"
                " gateway's."
            ),
            unit="s",
            queries=(
                Query(
                    quantile(0.95, "inference_latency_seconds", MODEL, by=("model", "protocol")),
                    "p95 {{model}} {{protocol}}",
                    exemplars=True,
                ),
            ),
        ),
        Panel(
            title="Inference in flight",
            text="Requests inside predictors now.",
            unit="short",
            queries=(Query(total(select("inference_requests_in_flight", MODEL), "model"), "{{model}}"),),
        ),
    ),
)

_ENGINE = Row(
    title="In vLLM",
    panels=(
        Panel(
            title="Running and waiting",
            text=(
                "Requests in the batch, and those that wait for a place in it. Traffic of adapters has the base "
                "model's name."
            ),
            unit="short",
            queries=(
                Query(total(select("vllm:num_requests_running", VLLM), "model_name"), "{{model_name}} running"),
                Query(total(select("vllm:num_requests_waiting", VLLM), "model_name"), "{{model_name}} waiting"),
            ),
            alerts=("EngineQueueLong",),
        ),
        Panel(
            title="Why requests wait",
            text=(
                "capacity: the batch or the KV cache is full; deferred: something else must end first, such as a LoRA"
                " slot."
            ),
            unit="short",
            queries=(
                Query(
                    total(select("vllm:num_requests_waiting_by_reason", VLLM), "model_name", "reason"),
                    "{{model_name}} {{reason}}",
                ),
            ),
            alerts=("EngineQueueLong",),
        ),
        Panel(
            title="KV cache used",
            text="Part of the KV cache that running requests hold; full, requests are preempted and computed again.",
            unit="percentunit",
            queries=(
                Query(highest(select("vllm:kv_cache_usage_perc", VLLM), "model_name"), "{{model_name}} fullest"),
                Query(f"avg by (model_name) ({select('vllm:kv_cache_usage_perc', VLLM)})", "{{model_name}} mean"),
            ),
            maximum=1,
            limits=(0.8, 0.95),
            boards=("switchyard-cache",),
            alerts=("KVCacheFull",),
        ),
        Panel(
            title="Preemptions",
            text=(
                "Requests that lost their place as the KV cache was full, each second: their tokens are computed twice."
            ),
            unit="cps",
            queries=(Query(rate("vllm:num_preemptions_total", VLLM, by=_BY_ENGINE), "{{model_name}}"),),
            alerts=("EnginePreempting",),
        ),
        Panel(
            title="Tokens",
            text="Tokens each second: read (prompt) and written (generation).",
            unit="suffix: tok/s",
            queries=(
                Query(rate("vllm:prompt_tokens_total", VLLM, by=_BY_ENGINE), "{{model_name}} read"),
                Query(rate("vllm:generation_tokens_total", VLLM, by=_BY_ENGINE), "{{model_name}} written"),
            ),
        ),
        Panel(
            title="Tokens of a step",
            text=(
                "How many tokens the engine computed together in a step, on average: the batch that makes it efficient."
            ),
            unit="short",
            queries=(Query(mean("vllm:iteration_tokens_total", VLLM, by=_BY_ENGINE), "{{model_name}}"),),
        ),
        Panel(
            title="Time to first token in the engine",
            text="From arrival in the engine; what the gateway sees more than this is waiting, waking and routing.",
            unit="s",
            queries=panels.quantiles("vllm:time_to_first_token_seconds", "{{model_name}}", VLLM, by=_BY_ENGINE),
            boards=("switchyard-scaling",),
            alerts=("ModelFirstTokenBurn",),
        ),
        Panel(
            title="Time between tokens in the engine",
            text="Half and 95 of 100 gaps between two tokens were shorter.",
            unit="s",
            queries=panels.quantiles("vllm:inter_token_latency_seconds", "{{model_name}}", VLLM, by=_BY_ENGINE),
            alerts=("ModelInterTokenBurn",),
        ),
        Panel(
            title="Where the time goes",
            text=(
                "Mean seconds of a request: queue, then prefill (reading), then decode (writing). Buckets are too "
                "wide for quantiles."
            ),
            unit="s",
            queries=tuple(
                Query(mean(f"vllm:request_{phase}_time_seconds", VLLM, by=_BY_ENGINE), f"{{{{model_name}}}} {phase}")
                for phase in ("queue", "prefill", "decode")
            ),
            stacked=True,
        ),
        Panel(
            title="Why generation ended",
            text=(
                "stop: by itself; length: at max_tokens; error: the engine failed. Disconnected clients are not "
                "counted here."
            ),
            unit="reqps",
            queries=(
                Query(
                    rate("vllm:request_success_total", VLLM, by=("model_name", "finished_reason")),
                    "{{model_name}} {{finished_reason}}",
                ),
            ),
            stacked=True,
        ),
        Panel(
            title="Length of prompts and responses",
            text="Mean tokens of a request that were read and written.",
            unit="short",
            queries=(
                Query(mean("vllm:request_prompt_tokens", VLLM, by=_BY_ENGINE), "{{model_name}} prompt"),
                Query(mean("vllm:request_generation_tokens", VLLM, by=_BY_ENGINE), "{{model_name}} response"),
            ),
        ),
        Panel(
            title="Room of the KV cache",
            text=(
                "Requests of full length that fit into the KV cache at once, and its blocks, as each engine says of "
                "itself."
            ),
            unit="short",
            queries=(
                Query(
                    "max by (service, num_gpu_blocks, kv_cache_max_concurrency)"
                    f" ({select('vllm:cache_config_info', NAMESPACE)})",
                    "{{service}}: {{kv_cache_max_concurrency}} requests, {{num_gpu_blocks}} blocks",
                ),
            ),
            kind="table",
        ),
    ),
)

BOARD = Board(
    uid="switchyard-models",
    title="Models and engines",
    text="From the outside in: each model at the gateway, in its predictor, in vLLM.",
    variables=(panels.NAMESPACE, panels.MODEL),
    rows=(_GATEWAY, _PREDICTORS, _ENGINE),
)
