"""What every process says of itself beside its own metrics: its version, its memory and its interpreter."""

from importlib.metadata import version
from typing import Literal

from prometheus_client import REGISTRY, CollectorRegistry, GCCollector, Info, PlatformCollector, ProcessCollector

Component = Literal["gateway", "graph", "llm", "vision", "complexity", "supervisor", "sync"]


def describe_process(registry: CollectorRegistry, component: Component) -> None:
    """Add ``switchyard_build_info``, and the library's ``process_*`` and ``python_*``, to what a process exposes."""
    build = Info("switchyard_build", "Version of Switchyard that this process runs, and which part.", registry=registry)
    build.info({"version": version("switchyard-serving"), "component": component})
    if registry is not REGISTRY:  # which has them
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
