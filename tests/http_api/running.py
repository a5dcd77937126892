"""Runs schemathesis against a gateway, and a gateway with all of its routes to run it against."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks.processes import Command, free_port
from switchyard.catalog import CatalogFile
from switchyard.gateway.tenants.keys import create_key, digest
from tests.http_api.examples_server import catalog, respond
from tests.switchyard.gateway.conftest import ModelServer, running

HERE = Path(__file__).parent
PROGRAM = Path(sys.executable).with_name("st")
REQUEST_SECONDS = 120  # for any response, a model's start included; more is a hang
_GENERATED = re.compile(r"(\d+) generated")
_LIMITS = [
    {"limit": "requests", "most": 10**9, "per": "minute"},
    {"limit": "tokens", "most": 10**12, "per": "day"},
    {"limit": "in_flight", "most": 1000},
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What schemathesis says of a run."""

    passed: bool
    requests: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A running gateway with tenants, limits and usage; ``key`` may do everything."""

    url: str
    key: str
    command: Command


async def ask_anything(url: str, *options: str, key: str = "", folder: Path) -> Report:
    """Send what schemathesis makes of the document at ``url``; ``folder`` is for its own files."""
    loaded = {"SCHEMATHESIS_HOOKS": "tests.http_api.hooks", "PYTHONPATH": str(HERE.parents[1])}
    child = await asyncio.create_subprocess_exec(
        *(PROGRAM, "--config-file", HERE / "schemathesis.toml", "run", f"{url}/openapi.json", "--no-color"),
        *("--request-timeout", str(REQUEST_SECONDS), *options),
        cwd=folder,
        env={**os.environ, **loaded, "SWITCHYARD_KEY": key, "NO_PROXY": "*"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        text = (await child.communicate())[0].decode()
    finally:
        if child.returncode is None:
            child.kill()
    found = _GENERATED.search(text)
    return Report(passed=child.returncode == 0, requests=int(found[1]) if found else 0, text=text)


@asynccontextmanager
async def full_gateway(folder: Path) -> AsyncIterator[Gateway]:
    """A gateway before models that respond with the document's examples."""
    port, key = free_port(), create_key()
    entry = {"id": "fuzzing", "sha256": digest(key.encode()).hex(), "roles": ["use", "admin"]}
    tenant = {"name": "acme", "limits": _LIMITS, "keys": [entry]}
    prices = [{"models": ["*"], "input": "0.15", "output": "0.6"}]
    tenants = folder / "tenants.yaml"
    tenants.write_text(yaml.safe_dump({"tenants": [tenant], "prices": prices}))
    async with running(ModelServer(respond)) as model:
        CatalogFile(folder / "catalog.json").replace(catalog(model))
        command = Command(
            [sys.executable, "-m", "switchyard.gateway", "--http_port", str(port), "--grpc_port", "0"],
            folder / "gateway.log",
            {
                "SWITCHYARD_CATALOG": str(folder / "catalog.json"),
                "SWITCHYARD_TENANTS": str(tenants),
                "SWITCHYARD_STORE": f"sqlite://{folder}/store.db",
                "SWITCHYARD_FILES": str(folder / "files"),
            },
        )
        try:
            await asyncio.to_thread(command.wait_for, f"http://127.0.0.1:{port}/readyz")
            yield Gateway(url=f"http://127.0.0.1:{port}", key=key, command=command)
        finally:
            await asyncio.to_thread(command.stop)
