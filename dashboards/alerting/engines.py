"""Alerts of engines: why a model is slow, seen in vLLM, Triton and the GPU."""

from dashboards.alerting.rules import Alert, Group

_ENGINE = "sum by (namespace, model_name)"
_AS_MODEL = {"model": "{{ $labels.model_name }}"}  # the label by which all other alerts name a model
_HITS = "rate(vllm:prefix_cache_hits_total[1h]{0})"
_QUERIES = "rate(vllm:prefix_cache_queries_total[1h]{0})"


def _hit_rate(offset: str = "") -> str:
    return f"({_ENGINE} ({_HITS.format(offset)}) / ({_ENGINE} ({_QUERIES.format(offset)}) > 0))"


_VLLM = [
    Alert(
        name="KVCacheFull",
        severity="ticket",
        kind="cause",
        expression="max by (namespace, model_name) (vllm:kv_cache_usage_perc) > 0.95",
        after="10m",
        means="for 10 minutes more than 95 % of an engine's KV cache was in use",
        summary="The KV cache of {{ $labels.model_name }} is full",
        description="{{ $value | humanizePercentage }} is in use: further requests wait, or push others out.",
        labels=_AS_MODEL,
    ),
    Alert(
        name="EnginePreempting",
        severity="ticket",
        kind="cause",
        expression=f"{_ENGINE} (increase(vllm:num_preemptions_total[10m])) >= 10",
        after="5m",
        means="an engine pushed at least 10 requests out of its KV cache in 10 minutes",
        summary="{{ $labels.model_name }} computes requests twice",
        description='{{ $value | printf "%.0f" }} requests lost their place in the cache in 10 minutes and began anew.',
        labels=_AS_MODEL,
    ),
    Alert(
        name="EngineQueueLong",
        severity="ticket",
        kind="cause",
        expression=f"{_ENGINE} (vllm:num_requests_waiting) > {_ENGINE} (vllm:num_requests_running) and "
        f"{_ENGINE} (vllm:num_requests_waiting) >= 10",
        after="5m",
        means="for 5 minutes more requests waited in an engine than ran in it, and at least 10",
        summary="Requests queue in {{ $labels.model_name }}",
        description="{{ $value }} requests wait in the engine: more than it works on.",
        labels=_AS_MODEL,
    ),
    Alert(
        name="PrefixHitRateHalved",
        severity="ticket",
        kind="cause",
        expression=f"{_hit_rate()} < 0.5 * {_hit_rate(' offset 1d')} and {_hit_rate(' offset 1d')} > 0.1 and "
        f"{_ENGINE} (increase(vllm:prefix_cache_queries_total[1h])) >= 100000",
        after="1h",
        means="for an hour an engine found less than half as much in its prefix cache as a day before, of at least "
        "100 000 tokens an hour, if that was more than a tenth",
        summary="The prefix cache of {{ $labels.model_name }} helps half as much",
        description="Only {{ $value | humanizePercentage }} of prompts' tokens were there; first tokens come later.",
        labels=_AS_MODEL,
    ),
]

_TRITON_MODEL = "sum by (namespace, model)"

_TRITON = [
    Alert(
        name="TritonQueueLong",
        severity="ticket",
        kind="cause",
        expression=f"{_TRITON_MODEL} (rate(nv_inference_queue_duration_us[5m])) / "
        f"({_TRITON_MODEL} (rate(nv_inference_request_success[5m])) > 0) / 1e6 > <1s>",
        after="5m",
        means="for 5 minutes requests waited more than a second for Triton in their mean",
        summary="Requests queue in Triton for {{ $labels.model }}",
        description="A request waits {{ $value | humanizeDuration }} in its mean before Triton begins it.",
    ),
    Alert(
        name="TritonRejecting",
        severity="ticket",
        kind="cause",
        expression="sum by (namespace, model, reason) (rate(nv_inference_request_failure"
        '{reason=~"REJECTED|BACKEND|OTHER"}[5m])) / on (namespace, model) group_left () '
        f"(({_TRITON_MODEL} (rate(nv_inference_request_failure[5m])) + "
        f"{_TRITON_MODEL} (rate(nv_inference_request_success[5m]))) > 0) > 0.05",
        after="5m",
        means="for 5 minutes more than a twentieth of a model's requests failed in Triton for one reason",
        summary="Triton fails requests for {{ $labels.model }}: {{ $labels.reason }}",
        description="{{ $value | humanizePercentage }} of requests fail; REJECTED means that its queue is full.",
    ),
]

_XID = "max by (Hostname, gpu) (DCGM_FI_DEV_XID_ERRORS{0})"

_GPU = [
    Alert(
        name="GpuXid",
        severity="ticket",
        kind="cause",
        # The exporter has the error as a label, too: each is a series of its own, which never changes.
        expression="max by (namespace, Hostname, gpu) (DCGM_FI_DEV_XID_ERRORS) > 0 unless on (Hostname, gpu) "
        f"({_XID.format('')} == {_XID.format(' offset 10m')})",
        means="the driver told of another XID error in the last 10 minutes",
        summary="GPU {{ $labels.gpu }} of {{ $labels.Hostname }} has XID error {{ $value }}",
        description="NVIDIA's driver reports XID {{ $value }}; models on this GPU may crash or hang.",
    ),
    Alert(
        name="GpuMemoryFull",
        severity="ticket",
        kind="cause",
        # Engines take nine tenths at their start: that is no news.
        expression="min by (namespace, Hostname, gpu) (DCGM_FI_DEV_FB_FREE / "
        "(DCGM_FI_DEV_FB_FREE + DCGM_FI_DEV_FB_USED > 0)) < 0.02 or min by (namespace, instance, device) "
        "(1 - gpu_memory_used_bytes / (gpu_memory_total_bytes > 0)) < 0.02",
        after="10m",
        means="for 10 minutes less than 2 % of a GPU's memory was free",
        summary="The memory of GPU {{ $labels.gpu }}{{ $labels.device }} is full",
        description="{{ $value | humanizePercentage }} is free on {{ $labels.Hostname }}{{ $labels.instance }}: the "
        "next larger request may end its engine.",
    ),
    Alert(
        name="GpuHot",
        severity="ticket",
        kind="cause",
        expression="max by (namespace, Hostname, gpu) (DCGM_FI_DEV_GPU_TEMP) > 87",
        after="10m",
        means="for 10 minutes a GPU was hotter than 87 °C, where it begins to slow down",
        summary="GPU {{ $labels.gpu }} of {{ $labels.Hostname }} is hot",
        description="It has {{ $value }} degrees Celsius and slows down, and so do its models.",
    ),
    Alert(
        name="GpuIdle",
        severity="ticket",
        kind="cause",
        expression='max by (namespace, pod, Hostname, gpu) (max_over_time(DCGM_FI_DEV_GPU_UTIL{pod!=""}[1h])) == 0',
        after="2h",
        means="a pod has held a GPU for three hours without using it",
        summary="{{ $labels.pod }} does nothing with GPU {{ $labels.gpu }}",
        description="It has not used the GPU of {{ $labels.Hostname }} for three hours, which is paid all the same.",
    ),
]

GROUPS = [Group(name="engines", interval="30s", rules=[*_VLLM, *_TRITON, *_GPU])]
