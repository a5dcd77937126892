"""The programs that observe a run as processes that the supervisor keeps running."""

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from switchyard.local.errors import LocalError
from switchyard.local.observability import alert_relay, configuration
from switchyard.local.observability.addresses import Addresses
from switchyard.local.observability.alert_relay import AlertRelay
from switchyard.local.observability.configuration import CHECKOUT, Choices
from switchyard.local.observability.programs import Programs
from switchyard.local.plan import arguments
from switchyard.local.plan.workloads import Command, Deployment

OTLP_VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"
NAMES = ("prometheus", "alertmanager", "collector", "jaeger")
METRICS_KEYS_VARIABLE = "METRICS_KEY_SHA256"  # the gateway's
FOLDER = "observability"  # in the run directory, and kept over runs, but for the traces

_COLLECTOR = CHECKOUT / "kustomize/components/monitoring/collector/collector.yaml"
_STOP_SECONDS = 5.0
_RETENTION = ("30d", "512MB")  # what objectives look back over; at most half of it is one block too many on disk
_TRACES = 2000  # in Jaeger's memory, the oldest go first; 20 kB each
# What Go's collector aims at; a query may take more for its time.
_MEMORY = {"prometheus": "100MiB", "alertmanager": "40MiB", "collector": "80MiB", "jaeger": "60MiB"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Observers:
    """What observes a run, below ``folder``.

    ``gateway_key`` reads the metrics of this run's gateway, and no more; by ``relay_key`` Alertmanager's messages are
    known.
    """

    programs: Programs
    addresses: Addresses
    choices: Choices
    folder: Path
    gateway_key: str = field(default_factory=secrets.token_urlsafe, repr=False)
    relay_key: str = field(default_factory=secrets.token_urlsafe, repr=False)

    def environment(self) -> Mapping[str, str]:
        """Return the variables by which every process of the platform sends its spans to the collector."""
        return {OTLP_VARIABLE: self.addresses.url("otlp_http")}

    def admitted(self, deployment: Deployment) -> Deployment:
        """Return a gateway that knows the key beside those that it has already, and any other Deployment as it is."""
        if not deployment.gateway:
            return deployment
        env, digest = deployment.command.env, hashlib.sha256(self.gateway_key.encode()).hexdigest()
        known = ",".join(filter(None, (env.get(METRICS_KEYS_VARIABLE), digest)))
        return replace(deployment, command=replace(deployment.command, env={**env, METRICS_KEYS_VARIABLE: known}))

    def relay(self) -> AlertRelay | None:
        """Return what passes alerts on to the webhook, None if there is none."""
        return AlertRelay(self.choices.alerts_to, self.relay_key) if self.choices.alerts_to else None

    def require_names(self, taken: Iterable[str]) -> None:
        """Fail when a process of the overlay has one of these names.

        Raises:
            LocalError: names it.
        """
        if clashes := sorted({*NAMES} & {*taken}):
            raise LocalError(f"--observe runs {', '.join(clashes)}, and the overlay has a service of that name")

    def deployments(self, control: str) -> tuple[Deployment, ...]:
        """Write their configurations and return them; ``control`` is the supervisor's own URL."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        key = self._write("gateway-key", self.gateway_key)
        self._write("prometheus.yaml", configuration.prometheus(self.addresses, control, self.choices, key))
        relay = f"{control}{alert_relay.PATH}" if self.choices.alerts_to else ""
        relay_key = self._write("relay-key", self.relay_key)
        self._write("alertmanager.yaml", configuration.alertmanager(relay, relay_key))
        return (self._alertmanager(), self._prometheus(), self._jaeger(), self._collector())

    def _write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(text)
        return path

    def _prometheus(self) -> Deployment:
        time, size = _RETENTION
        own = self.addresses.url("prometheus")
        argv = (
            self.programs.prometheus,
            f"--config.file={self.folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={self.folder / 'prometheus'}",
            f"--storage.tsdb.retention.time={time}",
            f"--storage.tsdb.retention.size={size}",
            "--enable-feature=exemplar-storage",
            # What fires before Alertmanager listens is lost, and would be sent again after a minute only.
            f"--rules.alert.resend-delay={self.choices.interval}",
            f"--web.listen-address={self.addresses.address('prometheus')}",
            f"--web.external-url={own}",
            f"--web.cors.origin={own.replace('.', '[.]')}",  # or any page in a browser here could read it
            "--web.max-connections=64",
            "--query.timeout=30s",
            "--query.max-concurrency=4",
            "--query.max-samples=5000000",
        )
        return self._deployment("prometheus", argv, "/-/ready", ("prometheus",))

    def _alertmanager(self) -> Deployment:
        argv = (
            self.programs.alertmanager,
            f"--config.file={self.folder / 'alertmanager.yaml'}",
            f"--storage.path={self.folder / 'alertmanager'}",
            f"--web.listen-address={self.addresses.address('alertmanager')}",
            f"--web.external-url={self.addresses.url('alertmanager')}",
            "--cluster.listen-address=",  # alone
        )
        return self._deployment("alertmanager", argv, "/-/ready", ("alertmanager",))

    def _collector(self) -> Deployment:
        argv = (self.programs.collector, f"--config=file:{_COLLECTOR}")
        env = {
            "COLLECTOR_HEALTH": self.addresses.address("collector_health"),
            "COLLECTOR_OTLP_GRPC": self.addresses.address("otlp_grpc"),
            "COLLECTOR_OTLP_HTTP": self.addresses.address("otlp_http"),
            "COLLECTOR_METRICS_HOST": arguments.LOOPBACK,
            "COLLECTOR_METRICS_PORT": str(self.addresses.collector_metrics),
            "COLLECTOR_TRACES": self.addresses.address("jaeger_otlp"),
            "COLLECTOR_DECISION_WAIT": "2s",  # spans of one machine come together
            "COLLECTOR_RATIO": "100",
            "COLLECTOR_HASH_SALT": secrets.token_hex(),
        }
        ports = ("collector_health", "otlp_grpc", "otlp_http", "collector_metrics")
        return self._deployment("collector", argv, "/", ports, env)

    def _jaeger(self) -> Deployment:
        listens = {
            "query.http-server": "jaeger",
            "query.grpc-server": "jaeger_query",
            "admin.http": "jaeger_health",
            "collector.otlp.grpc": "jaeger_otlp",
            "collector.otlp.http": "jaeger_otlp_http",
            "collector.grpc-server": "jaeger_grpc",
            "collector.http-server": "jaeger_http",
        }
        argv = (
            self.programs.jaeger,
            f"--memory.max-traces={_TRACES}",
            *(f"--{flag}.host-port={self.addresses.address(port)}" for flag, port in listens.items()),
        )
        # Or it would trace itself, and send that to the collector.
        env = {"SPAN_STORAGE_TYPE": "memory", "OTEL_TRACES_SAMPLER": "always_off"}
        return self._deployment("jaeger", argv, "/", tuple(listens.values()), env, probed="jaeger_health")

    def _deployment(
        self,
        name: str,
        argv: tuple[str, ...],
        readiness: str,
        ports: tuple[str, ...],
        env: Mapping[str, str] | None = None,
        *,
        probed: str = "",
    ) -> Deployment:
        """Return a process that is ready once ``readiness`` at the port ``probed``, by default the first, says so."""
        return Deployment(
            name=name,
            command=Command(
                name=name,
                argv=argv,
                env={"GOMEMLIMIT": _MEMORY[name], **(env or {})},
                cwd=self.folder,
                readiness=readiness,
                http_port=getattr(self.addresses, probed or ports[0]),
                grpc=False,
                ports=frozenset(getattr(self.addresses, port) for port in ports),
                grace=_STOP_SECONDS,
            ),
            gateway=False,
        )
