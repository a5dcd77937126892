"""Programs that are not ours and run here: exporters of a Redis and of a node, collectors of spans and of logs."""

import json
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import redis

from benchmarks.tenancy.platform import Process, Starter
from tests.live.observability.fire import programs
from tests.live.observability.shipping import shipped
from tests.live.observability.watching import Job
from tests.live.platform import Platform
from tests.live.processes import fetch
from tests.ports import free_port

_MAXMEMORY = "100mb"


def jobs(stack: ExitStack, folder: Path, observed: Platform) -> Sequence[Job]:
    """Start those that do not run beside ``observed``, whose logs are shipped; ``stack`` stops them."""
    folder.mkdir()
    logs = stack.enter_context(shipped(folder / "shipped", f"{observed.state}/logs/*.log*"))
    stuck = programs.StuckCollector(stack, folder / "stuck", programs.SHORT_RETRIES)
    return [
        _job("redis", f"127.0.0.1:{_redis(stack, folder)}"),
        _job("node", f"127.0.0.1:{_node(stack, folder)}"),
        _job("collector", _beside(observed)),
        _job("log-agent", logs.metrics),
        stuck.job("collector-stuck"),
    ]


def _job(name: str, address: str) -> Job:
    return Job(name=name, targets=[(address, {})])


def _redis(stack: ExitStack, folder: Path) -> int:
    """Return the port of the exporter of a Redis that has a bound of memory, and a key."""
    store = Starter(stack, folder).redis("everysec")
    store.wait()
    with redis.Redis(port=store.port) as client:
        client.config_set("maxmemory", _MAXMEMORY)
        client.set("key", "value")
    exporter = programs.redis_exporter(folder, store)
    stack.callback(exporter.stop)
    exporter.wait()
    return exporter.port


def _node(stack: ExitStack, folder: Path) -> int:
    """Return the port of the exporter of this machine."""
    found = shutil.which(programs.NODE_EXPORTER)
    assert found, f"{programs.NODE_EXPORTER} is not on PATH: `make setup` installs it"
    port = free_port()
    exporter = Process((found, f"--web.listen-address=127.0.0.1:{port}"), folder / "node", port)
    stack.callback(exporter.stop)
    exporter.wait()
    return exporter.port


def _beside(observed: Platform) -> str:
    """Return where the collector of `up --observe` has its metrics, as its Prometheus knows."""
    url = f"{observed.record()['observers']['prometheus']}/api/v1/targets?state=active"
    targets = json.loads(fetch(url)[1])["data"]["activeTargets"]
    (address,) = (one["discoveredLabels"]["__address__"] for one in targets if one["labels"]["job"] == "collector")
    return str(address)
