"""What Prometheus is to scrape at this moment, in the form of its ``http_sd``."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from switchyard.local.plan import arguments
from switchyard.local.plan.workloads import Address, Deployment, Service
from switchyard.local.status.board import ProcessStatus

# Of models here, whatever namespace their documents name: a cluster's has theirs.
_NAMESPACE = "local"


@dataclass(frozen=True, kw_only=True, slots=True)
class Targets:
    """The processes that have metrics, as they come and go; ``address_of`` says where a process listens.

    ``control`` is where the supervisor does.
    """

    entries: Mapping[str, ProcessStatus]
    services: Callable[[], Mapping[str, Service]]
    deployments: Mapping[str, Deployment]  # by the name of their job
    address_of: Callable[[int], Address | None]
    control: str

    def page(self) -> list[dict[str, object]]:
        """Return a target per process that is ready or finishes what it has.

        One that sleeps has none, so that nothing is missing where nothing should be.
        """
        return [_target("supervisor", self.control), *self._of_deployments(), *self._of_services()]

    def _of_deployments(self) -> Iterator[dict[str, object]]:
        for job, deployment in self.deployments.items():
            scheme = deployment.command.probe
            # Who wants a client's certificate is probed by a connection alone, and cannot be scraped without one.
            if scheme != "tcp" and (address := self._address(deployment.name)):
                yield _target(job, address, **({"__scheme__": scheme} if scheme != "http" else {}))

    def _of_services(self) -> Iterator[dict[str, object]]:
        for name, service in self.services().items():
            if address := self._address(name):
                yield _target("graph" if service.model.kind == "graph" else "predictor", address, service=name)

    def _address(self, name: str) -> str:
        entry = self.entries.get(name)
        if entry is None or entry.state not in ("ready", "draining"):
            return ""
        address = self.address_of(entry.pid)
        return f"{arguments.LOOPBACK}:{address.metrics_port or address.http_port}" if address else ""


def _target(job: str, address: str, **labels: str) -> dict[str, object]:
    return {"targets": [address], "labels": {"job": job, "namespace": _NAMESPACE, **labels}}
