"""The parts of a plan: processes of this machine instead of pods."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from switchyard import catalog
from switchyard.local.plan import scale

STOP = "serving.kserve.io/stop"

Probe = Literal["http", "https", "tcp"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """This machine: ``claims`` maps a volume claim's name to its folder, ``state`` is the run directory.

    ``published`` maps it to the folder with what was judged of it, where models are served from in its place.
    ``gateway_port`` takes the place of the port that the overlay gives to the gateway, ``gateway_tls`` (a certificate
    with its chain, and its key) that of its certificate.
    """

    root: Path
    state: Path
    claims: Mapping[str, Path]
    published: Mapping[str, Path] = field(default_factory=dict)
    python: str = sys.executable
    gateway_port: int | None = None
    gateway_tls: tuple[Path, Path] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """The process of a pod's container, with paths of this machine; ports are the pod's, and replaced at each start.

    ``readiness`` is a path on ``http_port``, empty for a container without a probe; ``probe`` is how it is asked, which
    where clients need a certificate is by a connection alone. ``grpc`` says that this port takes gRPC too; ``ports``
    are all that it listens on; ``port_variables`` maps variables to one of them; ``grace`` is the seconds between
    SIGTERM and SIGKILL.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    readiness: str
    http_port: int
    grpc: bool
    ports: frozenset[int]
    grace: float
    files: Mapping[Path, str] = field(default_factory=dict)
    folders: tuple[Path, ...] = ()
    port_variables: Mapping[str, int] = field(default_factory=dict)
    probe: Probe = "http"


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """An InferenceService, or an InferenceGraph's router.

    ``problem`` says why it cannot run here; ``stopped``, that its owner switched it off. ``sidecars`` are the other
    containers of its pod. ``hosts`` says that ``model_dir`` is a repository of models that are served by their own
    names. ``source_dir`` is where people put what is in ``model_dir``.
    """

    name: str
    namespace: str
    model: catalog.Model
    command: Command
    scale: scale.Scale
    sidecars: tuple[Command, ...]
    model_dir: Path | None
    source_dir: Path | None = None
    hosts: bool = False
    problem: str = ""
    stopped: bool = False

    @property
    def blocked(self) -> str:
        """Why it does not run here, whatever is asked of it; empty if it can."""
        return f"its owner stopped it by annotation {STOP}" if self.stopped else self.problem


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployment:
    """A Deployment: one process on the ports that its command names, or on free ones if nobody knows it by these."""

    name: str
    command: Command
    gateway: bool
    fixed_ports: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """All workloads, in the order of the documents."""

    services: tuple[Service, ...]
    deployments: tuple[Deployment, ...]

    @property
    def gateway(self) -> Deployment | None:
        return next((deployment for deployment in self.deployments if deployment.gateway), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """Where a replica listens on loopback; ``metrics_port`` is 0 where its metrics are on ``http_port``."""

    http_port: int
    metrics_port: int = 0
