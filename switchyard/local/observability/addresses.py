"""Where the programs that observe a run listen: their usual ports where these are free, so that bookmarks last."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass, fields

from switchyard.local.plan import arguments


@dataclass(frozen=True, kw_only=True, slots=True)
class Addresses:
    """Loopback ports; ``*_health`` and ``*_metrics`` are for the supervisor and Prometheus alone."""

    prometheus: int = 9090
    alertmanager: int = 9093
    jaeger: int = 16686  # queries by HTTP
    otlp_http: int = 4318  # the collector's, for every process of the platform
    otlp_grpc: int = 4317
    collector_health: int = 13133
    collector_metrics: int = 8888
    jaeger_health: int = 14269  # its metrics too
    jaeger_otlp: int = 24317  # gRPC, from the collector
    jaeger_otlp_http: int = 24318
    jaeger_query: int = 16685  # gRPC
    # Of its own formats, which nothing here sends; they cannot be turned off.
    jaeger_grpc: int = 14250
    jaeger_http: int = 14268

    @staticmethod
    def draw() -> "Addresses":
        """Return addresses of which each is free at this moment, and no two are the same."""
        held: list[socket.socket] = []
        try:
            ports = {field.name: _bound(int(field.default), held) for field in fields(Addresses)}  # type: ignore[arg-type]
        finally:
            for one in held:
                one.close()
        return Addresses(**ports)

    def url(self, name: str) -> str:
        """Return the URL of the port that is called ``name``."""
        return arguments.loopback_url(getattr(self, name))

    def address(self, name: str) -> str:
        """Return ``host:port`` of the port that is called ``name``."""
        return f"{arguments.LOOPBACK}:{getattr(self, name)}"

    def pages(self) -> Mapping[str, str]:
        """Return the URLs that people and their programs use, by what is there."""
        return {
            "prometheus": self.url("prometheus"),
            "alertmanager": self.url("alertmanager"),
            "jaeger": self.url("jaeger"),
            "otlp": self.url("otlp_http"),
        }


def _bound(usual: int, held: list[socket.socket]) -> int:
    """Return ``usual`` if it is free, else a free port; its socket goes to ``held``, so that no port is drawn twice."""
    for port in (usual, 0):
        probe = socket.socket()
        held.append(probe)
        # As servers bind: connections of the last run in TIME_WAIT do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((arguments.LOOPBACK, port))
        except OSError:
            continue
        probe.listen(1)  # or another that binds with the same option would find it free
        return int(probe.getsockname()[1])
    raise OSError("this machine has no free port")
