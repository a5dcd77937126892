"""What every process says of itself beside its own metrics: its version, its memory and its interpreter."""

from importlib.metadata import version
from typing import Literal

from prometheus_client import REGISTRY, CollectorRegistry, GCCollector, Info, PlatformCollector, ProcessCollector

Component = Literal["gateway", "graph", "llm", "vision", "complexity", "supervisor", "sync"]


def registry_of(component: Component) -> CollectorRegistry:
    """Return a registry of a process, with the client library's ``process_*`` and ``python_*``."""
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    _describe(registry, component)
    return registry


def shared_registry(component: Component) -> CollectorRegistry:
    """Return the library's own registry, which KServe and vLLM write to as well."""
    _describe(REGISTRY, component)
    return REGISTRY


def _describe(registry: CollectorRegistry, component: Component) -> None:
    build = Info("switchyard_build", "1: the version of Switchyard that runs, and which part.", registry=registry)
    build.info({"version": version("switchyard-serving"), "component": component})
