"""What every process says of itself beside its own metrics: its version, its memory and its interpreter."""

import errno
import os
import resource
from collections.abc import Iterable
from importlib.metadata import version
from typing import Literal

from prometheus_client import (
    PROCESS_COLLECTOR,
    REGISTRY,
    CollectorRegistry,
    GCCollector,
    Info,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

Component = Literal["gateway", "graph", "llm", "vision", "complexity", "supervisor", "sync"]


class _Process(ProcessCollector):
    """The library's ``process_*``; it cannot say that all file descriptors are used, as it needs one to count them."""

    def collect(self) -> Iterable[Metric]:
        found = list(super().collect())
        if "process_open_fds" not in {family.name for family in found} and _none_is_left():
            limit = float(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
            found.append(GaugeMetricFamily("process_open_fds", "Number of open file descriptors.", limit))
            found.append(GaugeMetricFamily("process_max_fds", "Maximum number of open file descriptors.", limit))
        return found


def _none_is_left() -> bool:
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as err:
        return err.errno == errno.EMFILE
    return False


def registry_of(component: Component) -> CollectorRegistry:
    """Return a registry of a process, with the client library's ``process_*`` and ``python_*``."""
    registry = CollectorRegistry()
    for collector in (_Process, PlatformCollector, GCCollector):
        collector(registry=registry)
    _describe(registry, component)
    return registry


def shared_registry(component: Component) -> CollectorRegistry:
    """Return the library's own registry, which KServe and vLLM write to as well."""
    REGISTRY.unregister(PROCESS_COLLECTOR)
    _Process(registry=REGISTRY)
    _describe(REGISTRY, component)
    return REGISTRY


def _describe(registry: CollectorRegistry, component: Component) -> None:
    build = Info("switchyard_build", "1: the version of Switchyard that runs, and which part.", registry=registry)
    build.info({"version": version("switchyard-serving"), "component": component})
