"""Utilization of the GPUs of this process."""

from collections.abc import Callable

import torch

from switchyard.telemetry.metrics import InferenceMetrics


def publish_utilization(metrics: InferenceMetrics) -> None:
    """Make ``gpu_utilization`` read each CUDA device when it is scraped; without one the metric has no samples.

    ``torch.cuda.utilization`` is NVML's: the share of the last sampling period in which a kernel ran, in percent.
    """
    for index in range(torch.cuda.device_count()):
        metrics.gpu_utilization.labels(str(index)).set_function(_reader(index))


def _reader(index: int) -> Callable[[], float]:
    return lambda: torch.cuda.utilization(index) / 100
