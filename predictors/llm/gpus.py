"""How busy the GPUs of this process are and how full, as NVML says when a scrape asks."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from switchyard.telemetry.metrics.predictors import InferenceMetrics

logger = logging.getLogger(__name__)

VISIBLE_VARIABLE = "CUDA_VISIBLE_DEVICES"


def publish_gpus(metrics: InferenceMetrics, environ: Mapping[str, str]) -> None:
    """Let ``gpu_*`` be read from NVML at each scrape; where there is no such library they have no samples."""
    try:
        import pynvml
    except ImportError:
        return
    gpus = Gpus(pynvml, environ.get(VISIBLE_VARIABLE))
    metrics.gpu_utilization.read = gpus.utilization
    metrics.gpu_memory_used.read = gpus.memory_used
    metrics.gpu_memory_total.read = gpus.memory_total


class Gpus:
    """The devices that ``visible`` names, as CUDA does: all without it; a device is labeled by its place in it.

    A part of a device (MIG) has memory of its own and, as NVML measures whole devices alone, no utilization. What NVML
    cannot say now, of a device that is lost or a driver that is being replaced, is left out until it can.
    """

    def __init__(self, nvml: Any, visible: str | None) -> None:
        self._nvml = nvml
        self._visible = None if visible is None else visible.split(",")
        self._begun = False

    def utilization(self) -> Mapping[str, float]:
        """Return the share of the last sampling period in which a kernel ran, 0 to 1."""
        return self._each(lambda handle: self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100)

    def memory_used(self) -> Mapping[str, float]:
        """Return the bytes that are in use, by whomever."""
        return self._each(lambda handle: float(self._nvml.nvmlDeviceGetMemoryInfo(handle).used))

    def memory_total(self) -> Mapping[str, float]:
        """Return the bytes that there are."""
        return self._each(lambda handle: float(self._nvml.nvmlDeviceGetMemoryInfo(handle).total))

    def _each(self, ask: Callable[[Any], float]) -> dict[str, float]:
        found = {}
        for place, name in enumerate(self._names()):
            try:
                found[str(place)] = ask(self._handle(name))
            except self._nvml.NVMLError as err:
                logger.debug("NVML says nothing of GPU %s: %s", name, err)
        return found

    def _names(self) -> Sequence[str]:
        """Return what names the devices of this process, none while NVML does not respond."""
        try:
            if not self._begun:
                self._nvml.nvmlInit()
                self._begun = True
            if self._visible is None:
                return [str(index) for index in range(self._nvml.nvmlDeviceGetCount())]
        except self._nvml.NVMLError as err:
            logger.debug("NVML does not respond: %s", err)
            return ()
        return [name.strip() for name in self._visible if name.strip() not in ("", "-1")]

    def _handle(self, name: str) -> Any:
        if name.isdecimal():
            return self._nvml.nvmlDeviceGetHandleByIndex(int(name))
        return self._nvml.nvmlDeviceGetHandleByUUID(name)
