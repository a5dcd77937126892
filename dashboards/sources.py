"""Who exposes a metric, by its name: tests scrape the real one, or a page written from its documentation."""

from typing import Literal

Source = Literal[
    "own",
    "vllm",
    "triton",
    "redis",
    "knative",
    "keda",
    "dcgm",
    "karpenter",
    "node",
    "prometheus",
    "alertmanager",
    "collector",
    "logs",
]

# In this order; whatever begins with none of them is ours.
_PREFIXES: dict[str, Source] = {
    "vllm:": "vllm",
    "nv_": "triton",
    "redis_": "redis",
    "kn_": "knative",
    "keda_": "keda",
    "DCGM_": "dcgm",
    "karpenter_": "karpenter",
    "node_": "node",
    "prometheus_": "prometheus",
    "scrape_": "prometheus",
    "up": "prometheus",
    "slo:": "prometheus",
    "ALERTS": "prometheus",
    "alertmanager_": "alertmanager",
    "otelcol_": "collector",
    "vl_": "logs",
}


def source_of(metric: str) -> Source:
    """Return who exposes ``metric``."""
    return next((source for prefix, source in _PREFIXES.items() if metric.startswith(prefix)), "own")
