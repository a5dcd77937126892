"""Scenarios of what is below models and gateway: engines, GPUs, the cluster, the store, processes and monitoring."""

from tests.dashboards.alerting.promtool import Counter, Gauge, Scenario, level, pair, single

POD = 'namespace="prod",instance="a",pod="a"'
VLLM = f'{POD},model_name="one",engine="0"'
TRITON = f'{POD},model="one",version="1"'
GPU = 'namespace="gpu",Hostname="node-1",gpu="0",pod="a"'
REVISION = 'k8s_namespace_name="prod",kn_service_name="one",kn_revision_name="one-1",instance="scaler"'
POOL = 'nodepool="gpu",resource_type="nvidia.com/gpu"'
GIB = 1024.0**3

ENGINES = [
    level(
        "KVCacheFull", f"vllm:kv_cache_usage_perc{{{VLLM}}}", Gauge(good=0.5, below=0.95, bad=0.96, idle=0), after=10
    ),
    Scenario(
        alert="EnginePreempting",
        series={f"vllm:num_preemptions_total{{{VLLM}}}": Counter(below=0.9, bad=2)},
        within=12,
        clears=7,
    ),
    Scenario(
        alert="EngineQueueLong",
        series={
            f"vllm:num_requests_waiting{{{VLLM}}}": Gauge(good=2, below=9, bad=10, idle=0),
            f"vllm:num_requests_running{{{VLLM}}}": Gauge(good=8, bad=8, idle=0),
        },
        within=6,
        clears=1,
    ),
    Scenario(
        alert="EngineQueueLong",
        series={
            f"vllm:num_requests_waiting{{{VLLM}}}": Gauge(good=2, below=30, bad=31, idle=0),
            f"vllm:num_requests_running{{{VLLM}}}": Gauge(good=30, bad=30, idle=0),
        },
        within=6,
        clears=1,
    ),
    Scenario(
        alert="PrefixHitRateHalved",
        step="15m",
        warm=110,  # it compares with a day before
        series={
            f"vllm:prefix_cache_queries_total{{{VLLM}}}": Counter(good=30000, below=30000, bad=30000),
            f"vllm:prefix_cache_hits_total{{{VLLM}}}": Counter(good=15000, below=7800, bad=6000),
        },
        within=10,
        clears=4,
    ),
    Scenario(
        alert="TritonQueueLong",
        series={
            f"nv_inference_queue_duration_us{{{TRITON}}}": Counter(good=1e6, below=5.7e7, bad=9e7),
            f"nv_inference_request_success{{{TRITON}}}": Counter(good=60, below=60, bad=60),
        },
        within=10,
        clears=4,
    ),
    Scenario(
        alert="TritonRejecting",
        series={
            f"nv_inference_request_success{{{TRITON}}}": Counter(good=100, below=96, bad=80),
            f'nv_inference_request_failure{{{TRITON},reason="REJECTED"}}': Counter(below=4, bad=20),
            # Clients that went are none of it.
            f'nv_inference_request_failure{{{TRITON},reason="CANCELED"}}': Counter(good=50, below=50, bad=50),
        },
        within=10,
        clears=5,
    ),
    Scenario(
        alert="GpuXid",
        # The exporter names the error in labels as well, so another error is another series.
        series={
            f'DCGM_FI_DEV_XID_ERRORS{{{GPU},err_code="0"}}': Gauge(good=0, bad=0, gone=("bad",)),
            f'DCGM_FI_DEV_XID_ERRORS{{{GPU},err_code="79"}}': Gauge(good=79, bad=79, gone=("good", "below", "idle")),
        },
        within=1,
        clears=10,
    ),
    pair(
        "GpuMemoryFull",
        (f"DCGM_FI_DEV_FB_FREE{{{GPU}}}", f"DCGM_FI_DEV_FB_USED{{{GPU}}}"),
        Gauge(good=8000, below=1700, bad=1600),
        80000,
        after=10,
    ),
    pair(
        "GpuMemoryFull",
        (f'gpu_memory_used_bytes{{{POD},device="0"}}', f'gpu_memory_total_bytes{{{POD},device="0"}}'),
        Gauge(good=90 * GIB, below=97.9 * GIB, bad=98.1 * GIB),
        100 * GIB,
        after=10,
    ),
    level("GpuHot", f"DCGM_FI_DEV_GPU_TEMP{{{GPU}}}", Gauge(good=60, below=87, bad=88, idle=35), after=10),
    Scenario(
        alert="GpuIdle",
        step="5m",
        series={f"DCGM_FI_DEV_GPU_UTIL{{{GPU}}}": Gauge(good=50, below=1, bad=0, idle=0)},
        within=37,
        clears=1,
        fades=12,
        idle_fires="a GPU that is paid and not used is what it is about",
    ),
]

CLUSTER = [
    Scenario(
        alert="KnativeStuckScaleUp",
        series={
            f"kn_revision_pods_requested{{{REVISION}}}": Gauge(good=2, bad=3, idle=0),
            f"kn_revision_pods_count{{{REVISION}}}": Gauge(good=2, bad=2, idle=0),
        },
        within=11,
        clears=1,
    ),
    Scenario(
        alert="KnativeAtMaxScale",
        series={
            f"kn_revision_pods_desired{{{REVISION}}}": Gauge(good=2, below=4, bad=5, idle=0),
            f"kn_revision_pods_requested{{{REVISION}}}": Gauge(good=2, below=4, bad=4, idle=0),
        },
        within=16,
        clears=1,
    ),
    level("KnativePanicLong", f"kn_revision_panic_mode{{{REVISION}}}", Gauge(good=0, bad=1), after=15),
    level(
        "ActivatorUnreachable",
        f'kn_activator_stats_conn_reachable{{{POD},peer="autoscaler"}}',
        Gauge(good=1, bad=0),
        after=5,
    ),
    pair(
        "NodeMemoryPressure",
        ('node_memory_MemAvailable_bytes{instance="a"}', 'node_memory_MemTotal_bytes{instance="a"}'),
        Gauge(good=50 * GIB, below=5.1 * GIB, bad=4.9 * GIB),
        100 * GIB,
        after=5,
    ),
    Scenario(
        alert="NodeDiskPressure",
        series={
            'node_filesystem_avail_bytes{instance="a",mountpoint="/",fstype="ext4"}': Gauge(
                good=50 * GIB, below=10.1 * GIB, bad=9.9 * GIB
            ),
            'node_filesystem_size_bytes{instance="a",mountpoint="/",fstype="ext4"}': Gauge(
                good=100 * GIB, bad=100 * GIB
            ),
            # A file system of an image is always full.
            'node_filesystem_avail_bytes{instance="a",mountpoint="/run",fstype="squashfs"}': Gauge(good=0, bad=0),
            'node_filesystem_size_bytes{instance="a",mountpoint="/run",fstype="squashfs"}': Gauge(good=GIB, bad=GIB),
        },
        within=11,
        clears=1,
    ),
    pair(
        "NodepoolLimit",
        (f"karpenter_nodepools_usage{{{POOL}}}", f"karpenter_nodepools_limit{{{POOL}}}"),
        Gauge(good=5, below=9, bad=9.1, idle=0),
        10,
        after=15,
    ),
    Scenario(
        alert="RedisDown",
        severity="page",
        step="15s",
        series={
            f"redis_up{{{POD}}}": Gauge(good=1, bad=0),
            f'up{{{POD},job="redis"}}': Gauge(good=1, bad=1),
        },
        within=5,
        clears=1,
    ),
    Scenario(
        alert="RedisDown",
        severity="page",
        step="15s",
        series={f'up{{{POD},job="redis"}}': Gauge(good=1, bad=0)},
        within=5,
        clears=1,
    ),
    pair(
        "RedisMemoryHigh",
        (f"redis_memory_used_bytes{{{POD}}}", f"redis_memory_max_bytes{{{POD}}}"),
        Gauge(good=0.5 * GIB, below=0.9 * GIB, bad=0.91 * GIB, idle=0.01 * GIB),
        GIB,
        after=10,
    ),
    single("RedisEvicting", f"redis_evicted_keys_total{{{POD}}}", 10),
]

TARGET = f'{POD},job="gateway"'

FULL_DESCRIPTORS = Scenario(
    alert="ProcessFileDescriptors",
    series={
        f"process_open_fds{{{TARGET}}}": Gauge(good=100, below=800, bad=801, gone=("idle",)),
        f"process_max_fds{{{TARGET}}}": Gauge(good=1000, bad=1000, gone=("idle",)),
        f"up{{{TARGET}}}": Gauge(good=1, bad=1, idle=0),  # as if it accepted no connection
    },
    within=6,
    clears=1,
)

MONITORING = [
    level("TargetDown", f'up{{{POD},job="predictor"}}', Gauge(good=1, bad=0), after=5),
    FULL_DESCRIPTORS,
    Scenario(
        alert="ProcessMemoryHigh",
        series={
            f"process_resident_memory_bytes{{{TARGET}}}": Gauge(good=1e8, below=4.2e8, bad=4.3e8),
            f'process_resident_memory_bytes{{{POD},job="predictor"}}': Gauge(good=4e9, bad=4e9),
        },
        within=11,
        clears=1,
    ),
    level(
        "ScrapeTooBig",
        f"scrape_samples_post_metric_relabeling{{{TARGET}}}",
        Gauge(good=5e3, below=4e5, bad=400_001),
        after=15,
    ),
    single(
        "RuleEvaluationFailing",
        f'prometheus_rule_evaluation_failures_total{{{POD},rule_group="slo-fast"}}',
        10,
        after=5,
    ),
    single("AlertDeliveryFailing", f"prometheus_notifications_dropped_total{{{POD}}}", 3, "page", after=5),
    Scenario(
        alert="AlertDeliveryFailing",
        severity="page",
        series={f'alertmanager_notifications_failed_total{{{POD},integration="webhook"}}': Counter(below=0.1, bad=1)},
        within=9,
        clears=15,
    ),
    single("CollectorDroppingSpans", f'otelcol_receiver_refused_spans_total{{{POD},receiver="otlp"}}', 5, after=5),
    single(
        "CollectorDroppingSpans", f'otelcol_exporter_enqueue_failed_spans_total{{{POD},exporter="otlp"}}', 5, after=5
    ),
    single(
        "CollectorDroppingSpans",
        f"otelcol_processor_tail_sampling_sampling_trace_dropped_too_early_total{{{POD}}}",
        5,
        after=5,
    ),
    single("CollectorExportFailing", f'otelcol_exporter_send_failed_spans_total{{{POD},exporter="otlp"}}', 5, after=5),
    single(
        "CollectorExportFailing",
        f'otelcol_exporter_send_failed_log_records_total{{{POD},exporter="otlphttp"}}',
        5,
        after=5,
    ),
]

BELOW = [*ENGINES, *CLUSTER, *MONITORING]
