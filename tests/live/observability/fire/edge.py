"""Processes beside the platform: a gateway with a certificate and a Redis, and a sync that follows a hub."""

import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from benchmarks.tenancy.platform import Process, Starter, tenant, write_tenants
from switchyard.catalog import Catalog, CatalogFile
from tests.live.observability.fire import programs
from tests.live.observability.watching import Job
from tests.ports import free_port
from tests.switchyard.http.certificates import Authority

MODEL, FULL_MODEL = "m5", "m300"  # of benchmarks.tenancy.model: respond after 5 and 300 ms
NAMESPACE = "edge"


class Edge:
    """The processes, each of which ``stack`` stops; its metrics are of the namespace ``edge``.

    ``FULL_MODEL`` takes one request at a time. The file ``operator`` gets the key by which they are scraped.
    """

    def __init__(self, stack: ExitStack, folder: Path, operator: Path) -> None:
        folder.mkdir()
        starter = Starter(stack, folder)
        self.key, user = tenant("user", [{"limit": "requests", "most": 10**9, "per": "month"}])
        secret, administrator = tenant("operator", roles=["admin"])
        self._operator = operator
        operator.write_text(secret)
        write_tenants(folder / "tenants.yaml", [user, administrator])
        self.certificate = Authority("authority", folder).issue("localhost", days=-1 / 24)  # an hour ago
        self.model = starter.model(MODEL, FULL_MODEL)
        _limit(folder / "catalog.json")
        self.redis = starter.redis("everysec")
        self.gateway = self._gateway(folder)
        self._exporter = programs.redis_exporter(folder, self.redis)
        self.sync = self._follower(folder)
        for process in (self.gateway, self._exporter, self.sync):
            stack.callback(process.stop)
        for process in (self.model, self.redis, self.gateway, self._exporter, self.sync):
            process.wait()

    @property
    def url(self) -> str:
        return self.gateway.url.replace("http://", "https://")

    def jobs(self) -> list[Job]:
        labels = {"namespace": NAMESPACE}
        options = {
            "scheme": "https",
            "tls_config": {"insecure_skip_verify": True},
            "authorization": {"credentials_file": str(self._operator)},
        }
        return [
            Job(name="gateway", targets=[(f"127.0.0.1:{self.gateway.port}", labels)], options=options),
            Job(name="sync", targets=[(f"127.0.0.1:{self.sync.port}", labels)]),
            Job(name="redis", targets=[(f"127.0.0.1:{self._exporter.port}", labels)]),
        ]

    def _gateway(self, folder: Path) -> Process:
        port = free_port()
        argv = (sys.executable, "-m", "switchyard.gateway", "--host=127.0.0.1", f"--http_port={port}", "--grpc_port=0")
        env = {
            "SWITCHYARD_CATALOG": str(folder / "catalog.json"),
            "SWITCHYARD_TENANTS": str(folder / "tenants.yaml"),
            "SWITCHYARD_STORE": f"redis://127.0.0.1:{self.redis.port}/0",
            "TLS_CERT_FILE": str(self.certificate.certificate),
            "TLS_KEY_FILE": str(self.certificate.key),
        }
        return Process(argv, folder / "gateway", port, env)

    def _follower(self, folder: Path) -> Process:
        """Start a sync that follows a model of a hub which is not there."""
        port = free_port()
        flags = {"source": "llm/away=hf://nobody/nothing", "published": folder / "published", "http_port": port}
        argv = (sys.executable, "-m", "switchyard.sync", *(f"--{key}={value}" for key, value in flags.items()))
        env = {"HF_ENDPOINT": f"http://127.0.0.1:{free_port()}", "HF_HUB_OFFLINE": "0"}
        return Process((*argv, "--listing_seconds=1"), folder / "sync", port, env)


def _limit(catalog: Path) -> None:
    file = CatalogFile(catalog)
    models = dict(file.current().models)
    models[FULL_MODEL] = replace(models[FULL_MODEL], concurrency=1)
    file.replace(Catalog(models))
