"""GPUs and nodes: DCGM and NVML, the node exporter, and Karpenter that buys nodes."""

from dashboards import panels
from dashboards.panels import Board, Panel, Query, Row
from dashboards.promql import EVERYWHERE, highest, increase, select, used

_NO_GPU = "Predictors expose these on a machine with a GPU only."
_DISKS = 'fstype!~"tmpfs|overlay|ramfs"'
_GPU = "Hostname, gpu"
_LEGEND = "{{Hostname}} GPU {{gpu}}"


def _by_gpu(metric: str, function: str = "max") -> str:
    return f"{function} by ({_GPU}) ({metric})"


_DCGM = Row(
    title="GPUs",
    panels=(
        Panel(
            title="Busy, as our predictors see it",
            text="Part of time that a device was busy, and of its memory that is used, from NVML in each predictor.",
            unit="percentunit",
            queries=(
                Query(
                    highest(select("gpu_utilization"), "instance", "device"),
                    "{{instance}} {{device}} busy",
                    no_data=_NO_GPU,
                ),
                Query(
                    used("gpu_memory_used_bytes", "gpu_memory_total_bytes", by=("instance", "device")),
                    "{{instance}} {{device}} memory",
                    no_data=_NO_GPU,
                ),
            ),
            maximum=1,
            alerts=("GpuMemoryFull",),
        ),
        Panel(
            title="Tensor cores and memory bandwidth",
            text=(
                "Part of time that they worked. Decoding is bound by memory, reading prompts by tensor cores; busy "
                "says neither."
            ),
            unit="percentunit",
            queries=(
                Query(_by_gpu("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", "avg"), f"{_LEGEND} tensor"),
                Query(_by_gpu("DCGM_FI_PROF_DRAM_ACTIVE", "avg"), f"{_LEGEND} memory"),
            ),
            maximum=1,
            boards=("switchyard-models",),
        ),
        Panel(
            title="Busy",
            text=(
                "Part of time that any kernel ran: near 100 % with a single request. Low for hours is a GPU paid for "
                "nothing."
            ),
            unit="percent",
            queries=(Query(_by_gpu("DCGM_FI_DEV_GPU_UTIL", "avg"), _LEGEND),),
            maximum=100,
            alerts=("GpuIdle",),
        ),
        Panel(
            title="Memory of GPUs",
            text="Part of a device's memory that is used; engines take what they are given, so it stays level.",
            unit="percentunit",
            queries=(
                Query(
                    f"{_by_gpu('DCGM_FI_DEV_FB_USED')}"
                    f" / ({_by_gpu('DCGM_FI_DEV_FB_USED')} + {_by_gpu('DCGM_FI_DEV_FB_FREE')} > 0)",
                    _LEGEND,
                ),
            ),
            maximum=1,
            alerts=("GpuMemoryFull",),
        ),
        Panel(
            title="Temperature",
            text="Of the chip and of its memory; too hot, clocks go down.",
            unit="celsius",
            queries=(
                Query(_by_gpu("DCGM_FI_DEV_GPU_TEMP"), f"{_LEGEND} chip"),
                Query(_by_gpu("DCGM_FI_DEV_MEMORY_TEMP"), f"{_LEGEND} memory"),
            ),
            limits=(80.0, 90.0),
            alerts=("GpuHot",),
        ),
        Panel(
            title="Power",
            text="Watts that each device draws.",
            unit="watt",
            queries=(Query(_by_gpu("DCGM_FI_DEV_POWER_USAGE"), f"{_LEGEND}"),),
            alerts=("GpuHot",),
        ),
        Panel(
            title="Clock",
            text="Of the multiprocessors: one that falls under load is throttled for heat or power.",
            unit="hertz",
            queries=(Query(f"{_by_gpu('DCGM_FI_DEV_SM_CLOCK')} * 1e6", _LEGEND),),
            alerts=("GpuHot",),
        ),
        Panel(
            title="XID errors",
            text=(
                "The last XID that the driver logged, 0 is none: 79 fell off the bus, 48, 94 and 95 are memory, 31 is"
                " a program."
            ),
            unit="short",
            queries=(Query(_by_gpu("DCGM_FI_DEV_XID_ERRORS"), _LEGEND),),
            limits=(1.0,),
            alerts=("GpuXid",),
        ),
        Panel(
            title="PCIe and NVLink",
            text="Bytes each second to and from the host, and over NVLink.",
            unit="Bps",
            queries=(
                Query(_by_gpu("DCGM_FI_PROF_PCIE_TX_BYTES"), f"{_LEGEND} sent"),
                Query(_by_gpu("DCGM_FI_PROF_PCIE_RX_BYTES"), f"{_LEGEND} received"),
            ),
        ),
    ),
)

_NODES = Row(
    title="Nodes",
    panels=(
        Panel(
            title="Processor",
            text="Part of each node's processor time that was used.",
            unit="percentunit",
            queries=(
                Query(
                    'sum by (instance) (rate(node_cpu_seconds_total{mode!~"idle|iowait"}[$__rate_interval]))'
                    " / (sum by (instance) (rate(node_cpu_seconds_total[$__rate_interval])) > 0)",
                    "{{instance}}",
                ),
            ),
            maximum=1,
            limits=(0.8, 0.95),
        ),
        Panel(
            title="Memory that is left",
            text="Part of each node's memory that programs could still get.",
            unit="percentunit",
            queries=(
                Query(
                    used("node_memory_MemAvailable_bytes", "node_memory_MemTotal_bytes", EVERYWHERE, by=("instance",)),
                    "{{instance}}",
                ),
            ),
            maximum=1,
            floors=(0.05, 0.15),
            alerts=("NodeMemoryPressure",),
        ),
        Panel(
            title="Disk that is left",
            text="Part of each file system that is free; images and models fill it.",
            unit="percentunit",
            queries=(
                Query(
                    f"min by (instance, mountpoint) ({select('node_filesystem_avail_bytes', _DISKS)})"
                    f" / (min by (instance, mountpoint) ({select('node_filesystem_size_bytes', _DISKS)}) > 0)",
                    "{{instance}} {{mountpoint}}",
                ),
            ),
            maximum=1,
            floors=(0.1, 0.2),
            alerts=("NodeDiskPressure",),
        ),
        Panel(
            title="Network",
            text="Bytes each second of each node, loopback left out.",
            unit="Bps",
            queries=(
                Query(
                    'sum by (instance) (rate(node_network_receive_bytes_total{device!="lo"}[$__rate_interval]))',
                    "{{instance}} received",
                ),
                Query(
                    'sum by (instance) (rate(node_network_transmit_bytes_total{device!="lo"}[$__rate_interval]))',
                    "{{instance}} sent",
                ),
            ),
        ),
        Panel(
            title="Load for each processor",
            text="Tasks that run or wait for a processor; above 1 they wait.",
            unit="short",
            queries=(
                Query(
                    'max by (instance) (node_load1) / (count by (instance) (node_cpu_seconds_total{mode="idle"}) > 0)',
                    "{{instance}}",
                ),
            ),
            limits=(1.0, 2.0),
        ),
    ),
)

_KARPENTER = Row(
    title="Karpenter",
    panels=(
        Panel(
            title="Pools and their limits",
            text="What nodes of each pool provide, as part of the pool's limit: at 1 it buys no more.",
            unit="percentunit",
            queries=(
                Query(
                    used(
                        "karpenter_nodepools_usage", "karpenter_nodepools_limit", "", by=("nodepool", "resource_type")
                    ),
                    "{{nodepool}} {{resource_type}}",
                ),
            ),
            maximum=1,
            limits=(0.8, 0.95),
            alerts=("NodepoolLimit",),
        ),
        Panel(
            title="Nodes that come and go",
            text="Nodes made and ended in the time shown, by pool.",
            unit="short",
            queries=(
                Query(increase("karpenter_nodes_created_total", EVERYWHERE, by=("nodepool",)), "{{nodepool}} made"),
                Query(increase("karpenter_nodes_terminated_total", EVERYWHERE, by=("nodepool",)), "{{nodepool}} ended"),
            ),
        ),
        Panel(
            title="Why nodes were disrupted",
            text="In the time shown: empty, underused, drifted, expired, interrupted by the cloud.",
            unit="short",
            queries=(
                Query(
                    increase("karpenter_nodeclaims_disrupted_total", EVERYWHERE, by=("nodepool", "reason")),
                    "{{nodepool}} {{reason}}",
                ),
            ),
        ),
        Panel(
            title="Pods without a node",
            text="Pods that wait to be placed, and those for which no pool can buy a node.",
            unit="short",
            queries=(
                Query("sum(karpenter_scheduler_queue_depth)", "waiting"),
                Query("sum(karpenter_scheduler_unschedulable_pods_count)", "no pool fits"),
            ),
            boards=("switchyard-scaling",),
            alerts=("NodepoolLimit", "KnativeStuckScaleUp"),
        ),
        Panel(
            title="Until a pod has a node",
            text="From creation until the pod is bound, nodes that must be bought included: 95 of 100 were faster.",
            unit="s",
            queries=(
                Query(
                    "histogram_quantile(0.95, sum by (le)"
                    " (rate(karpenter_pods_bound_duration_seconds_bucket[$__rate_interval])))",
                    "p95",
                ),
            ),
            boards=("switchyard-scaling",),
        ),
        Panel(
            title="Interruptions",
            text="Messages of the cloud in the time shown, such as a spot node that it takes back.",
            unit="short",
            queries=(
                Query(
                    increase("karpenter_interruption_received_messages_total", EVERYWHERE, by=("message_type",)),
                    "{{message_type}}",
                ),
            ),
        ),
    ),
)

BOARD = Board(
    uid="switchyard-nodes",
    title="GPUs and nodes",
    text="What models run on, and who buys it.",
    variables=(panels.NAMESPACE,),
    rows=(_DCGM, _NODES, _KARPENTER),
)
