"""Programs that are not ours and whose faults have alerts: exporters of Redis and of a node, a collector."""

import shutil
import uuid
from contextlib import ExitStack
from pathlib import Path

import httpx
import redis

from benchmarks.tenancy.platform import Process, Starter
from tests.live.observability.fire.project import Clients
from tests.live.observability.shipping import PROGRAMS
from tests.live.observability.watching import Job
from tests.live.processes import ROOT
from tests.ports import free_port

REDIS_EXPORTER, NODE_EXPORTER = "prometheus-redis-exporter", "prometheus-node-exporter"  # as Debian calls them
_HOST = "127.0.0.1"
_COLLECTOR = ROOT / "kustomize/components/monitoring/collector/collector.yaml"
# What is changed of a collector so that its faults come soon: a queue of one batch is full after two, and what cannot
# be sent is given up after 3 s, a minute by the rules' clock.
SMALL_QUEUE = ("queue_size: 100", "queue_size: 1, num_consumers: 1")
SHORT_RETRIES = ("max_elapsed_time: 60s", "max_elapsed_time: 3s, initial_interval: 1s, max_interval: 1s")
_VALUES, _VALUE_BYTES = 200, 100_000


def _program(name: str) -> str:
    found = shutil.which(name)
    assert found, f"{name} is not on PATH: `make setup` installs it"
    return found


def redis_exporter(folder: Path, store: Process) -> Process:
    """Start what Prometheus reads a Redis by."""
    port = free_port()
    flags = (f"-redis.addr=redis://{_HOST}:{store.port}", f"-web.listen-address={_HOST}:{port}")
    return Process((_program(REDIS_EXPORTER), *flags), folder / "exporter", port)


class FullRedis:
    """A Redis with 20 MB of keys, whose memory can be made too small; its metrics are of the namespace ``full``."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        folder.mkdir()
        store = Starter(stack, folder).redis("everysec")
        store.wait()
        self._exporter = redis_exporter(folder, store)
        stack.callback(self._exporter.stop)
        self._exporter.wait()
        self._client = stack.enter_context(redis.Redis(port=store.port))
        for number in range(_VALUES):
            self._client.set(f"value-{number}", b"x" * _VALUE_BYTES)

    def job(self) -> Job:
        return Job(name="full-redis", targets=[(f"{_HOST}:{self._exporter.port}", {"namespace": "full"})])

    def leave(self, part: float) -> None:
        """Let what it has be all of its memory but for ``part``; less than it has if that is below 0."""
        used = int(self._client.info("memory")["used_memory"])
        self._client.config_set("maxmemory", int(used * (1 + part)))

    def evict(self) -> None:
        """Let it remove keys when it is full, and make it so."""
        self._client.config_set("maxmemory-policy", "allkeys-lru")
        self.leave(-0.1)
        self._client.set("one-more", "value")


class StuckCollector:
    """The collector as shipped, but for one ``change``, before a store of traces that is away; it gets spans."""

    def __init__(self, stack: ExitStack, folder: Path, change: tuple[str, str]) -> None:
        folder.mkdir()
        shipped = _COLLECTOR.read_text()
        assert change[0] in shipped
        (folder / "collector.yaml").write_text(shipped.replace(*change))
        port, self._metrics = free_port(), free_port()
        env = {
            "COLLECTOR_HEALTH": f"{_HOST}:{free_port()}",
            "COLLECTOR_OTLP_GRPC": f"{_HOST}:{free_port()}",
            "COLLECTOR_OTLP_HTTP": f"{_HOST}:{port}",
            "COLLECTOR_METRICS_HOST": _HOST,
            "COLLECTOR_METRICS_PORT": str(self._metrics),
            "COLLECTOR_TRACES": f"{_HOST}:{free_port()}",
            "COLLECTOR_DECISION_WAIT": "1s",
            "COLLECTOR_RATIO": "100",
            "COLLECTOR_HASH_SALT": "of a test",
        }
        argv = (str(PROGRAMS / "otelcol"), f"--config=file:{folder / 'collector.yaml'}")
        process = Process(argv, folder / "collector", port, env)
        stack.callback(process.stop)
        process.wait()
        stack.enter_context(Clients(process.url, "any", 1, _send_span, pause=0.2))

    def job(self, name: str) -> Job:
        return Job(name=name, targets=[(f"{_HOST}:{self._metrics}", {})])


def _send_span(client: httpx.Client) -> object:
    """Send a trace of one span."""
    times = {"startTimeUnixNano": "1", "endTimeUnixNano": "2"}
    span = {"traceId": uuid.uuid4().hex, "spanId": uuid.uuid4().hex[:16], "name": "test", **times}
    return client.post("/v1/traces", json={"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})


class FullNode:
    """A node's exporter that sees a file system without room, and another's memory.

    The file system is real, a small one in a namespace of mounts that ends with the exporter; that it were on a disk,
    and how much memory there is, it reads in a folder in place of ``/proc``: neither can be used up on a machine that
    runs tests.
    """

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        disk, proc = folder / "disk", folder / "proc"
        disk.mkdir(parents=True)
        (proc / "1").mkdir(parents=True)
        (proc / "1/mounts").write_text(f"/dev/vdb {disk} ext4 rw,relatime 0 0\n")
        (proc / "meminfo").write_text("MemTotal: 16384000 kB\nMemFree: 100000 kB\nMemAvailable: 400000 kB\n")
        port = free_port()
        exporter = (
            f"exec {_program(NODE_EXPORTER)} --path.procfs={proc} --web.listen-address={_HOST}:{port} "
            "--collector.disable-defaults --collector.filesystem --collector.meminfo"
        )
        filled = f"mount -t tmpfs -o size=1m tmpfs {disk} && head -c 1000k /dev/zero > {disk}/data"
        argv = ("unshare", "--map-root-user", "--mount", "sh", "-c", f"{filled} && {exporter}")
        self._process = Process(argv, folder / "exporter", port)
        stack.callback(self._process.stop)
        self._process.wait()

    def job(self) -> Job:
        return Job(name="node", targets=[(f"{_HOST}:{self._process.port}", {})])
