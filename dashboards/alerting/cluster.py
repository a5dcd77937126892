"""Alerts of what the platform stands on in a cluster: Knative, nodes, Karpenter and Redis."""

from dashboards.alerting.rules import Alert, Group

_REVISION = "max by (k8s_namespace_name, kn_service_name, kn_revision_name)"
_SERVICE = {"namespace": "{{ $labels.k8s_namespace_name }}", "service": "{{ $labels.kn_service_name }}"}

_KNATIVE = [
    Alert(
        name="KnativeStuckScaleUp",
        severity="ticket",
        kind="cause",
        expression=f"{_REVISION} (kn_revision_pods_requested) > {_REVISION} (kn_revision_pods_count)",
        after="10m",
        means="for 10 minutes a revision had fewer ready pods than Knative asked for",
        summary="Revision {{ $labels.kn_revision_name }} does not get its pods",
        description="Knative asked for {{ $value }} pods and has fewer: no node has room, or pods do not become ready.",
        labels=_SERVICE,
    ),
    Alert(
        name="KnativeAtMaxScale",
        severity="ticket",
        kind="cause",
        expression=f"{_REVISION} (kn_revision_pods_desired) > {_REVISION} (kn_revision_pods_requested)",
        after="15m",
        means="for 15 minutes Knative wanted more pods of a revision than its max-scale lets it ask for",
        summary="Revision {{ $labels.kn_revision_name }} is at its max-scale",
        description="By its load it should have {{ $value }} pods; its max-scale is less, so requests queue.",
        labels=_SERVICE,
    ),
    Alert(
        name="KnativePanicLong",
        severity="ticket",
        kind="cause",
        expression=f"{_REVISION} (kn_revision_panic_mode) == 1",
        after="15m",
        means="for 15 minutes the autoscaler saw more load than twice what a revision's pods are to take",
        summary="Revision {{ $labels.kn_revision_name }} has been in panic for long",
        description="A burst ends within minutes: this one goes on, and new pods do not keep up with it.",
        labels=_SERVICE,
    ),
    Alert(
        name="ActivatorUnreachable",
        severity="ticket",
        kind="cause",
        expression="min by (namespace, pod, peer) (kn_activator_stats_conn_reachable) == 0",
        after="5m",
        means="for 5 minutes an activator could not reach the autoscaler",
        summary="Activator {{ $labels.pod }} does not reach {{ $labels.peer }}",
        description="The autoscaler does not learn of the requests that it holds: models at zero do not wake.",
    ),
]

_NODES = [
    Alert(
        name="NodeMemoryPressure",
        severity="ticket",
        kind="cause",
        expression="min by (instance) (node_memory_MemAvailable_bytes / (node_memory_MemTotal_bytes > 0)) < 0.05",
        after="5m",
        means="for 5 minutes less than 5 % of a node's memory was available",
        summary="Node {{ $labels.instance }} is short of memory",
        description="{{ $value | humanizePercentage }} is left; the kubelet evicts pods, or the kernel ends processes.",
    ),
    Alert(
        name="NodeDiskPressure",
        severity="ticket",
        kind="cause",
        expression='min by (instance, mountpoint) (node_filesystem_avail_bytes{fstype!~"tmpfs|overlay|squashfs"} / '
        '(node_filesystem_size_bytes{fstype!~"tmpfs|overlay|squashfs"} > 0)) < 0.1',
        after="10m",
        means="for 10 minutes less than 10 % of a node's file system was free",
        summary="{{ $labels.mountpoint }} of node {{ $labels.instance }} is full",
        description="{{ $value | humanizePercentage }} is free: images cannot be pulled, and pods are evicted.",
    ),
    Alert(
        name="NodepoolLimit",
        severity="ticket",
        kind="cause",
        expression="max by (nodepool, resource_type) (karpenter_nodepools_usage) / on (nodepool, resource_type) "
        "(max by (nodepool, resource_type) (karpenter_nodepools_limit) > 0) > 0.9",
        after="15m",
        means="for 15 minutes more than 90 % of what a pool of nodes may grow to was used",
        summary="Pool {{ $labels.nodepool }} is near its limit of {{ $labels.resource_type }}",
        description="{{ $value | humanizePercentage }} of its limit is used: soon pods find no node.",
    ),
]

_REDIS = [
    Alert(
        name="RedisDown",
        severity="page",
        kind="cause",
        expression='min by (namespace) (redis_up) == 0 or min by (namespace) (up{job="redis"}) == 0',
        after="1m",
        means="for a minute Redis did not respond to its exporter, or the exporter not to Prometheus",
        summary="Redis of {{ $labels.namespace }} is down",
        description="Limits, keys and the ledger are without their store.",
    ),
    Alert(
        name="RedisMemoryHigh",
        severity="ticket",
        kind="cause",
        expression="max by (namespace, instance) (redis_memory_used_bytes / (redis_memory_max_bytes > 0)) > 0.9",
        after="10m",
        means="for 10 minutes Redis used more than 90 % of its maxmemory",
        summary="Redis of {{ $labels.namespace }} is nearly full",
        description="It uses {{ $value | humanizePercentage }} of its maxmemory; when that is full it takes no writes.",
    ),
    Alert(
        name="RedisEvicting",
        severity="ticket",
        kind="cause",
        expression="sum by (namespace, instance) (increase(redis_evicted_keys_total[10m])) > 0",
        means="Redis removed keys for want of memory in the last 10 minutes",
        summary="Redis of {{ $labels.namespace }} removes keys",
        description='{{ $value | printf "%.0f" }} keys went in 10 minutes: limits forget what was used. Its '
        "maxmemory-policy should be noeviction.",
    ),
]

GROUPS = [Group(name="cluster", interval="30s", rules=[*_KNATIVE, *_NODES, *_REDIS])]
