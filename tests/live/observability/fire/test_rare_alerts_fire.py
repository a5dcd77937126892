"""Alerts whose faults take long or all of a machine reach the webhook too, as those of ``test_alerts_fire``."""

import asyncio
import socket
import sys
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from benchmarks.load import Request, saturate
from benchmarks.tenancy import clients
from benchmarks.tenancy.platform import Process, Starter, tenant, write_tenants
from dashboards.alerting.rules import Clock
from tests.live.observability.fire import project
from tests.live.observability.fire.calling import CLOCK, OnCall
from tests.live.observability.fire.project import Clients
from tests.live.observability.fire.webhook import Receiver
from tests.live.observability.watching import Job, Watch
from tests.live.processes import ROOT, Predictor, Preload, eventually
from tests.ports import free_port

pytestmark = [pytest.mark.live, pytest.mark.long]

MODEL = "m0"  # of benchmarks.tenancy.model: responds at once
# 5120 bytes for each token of this model, so nine blocks of 128: one request of the model's length, or a few shorter.
KV_BYTES = 9 * 128 * 5120
BODY_BYTES = 450 << 20  # more than 80 % of the 512 MiB that a gateway's container may have
SERIES = 400_001
STORY = "Ana has 3 apples and gets 4 more. " * 80  # seven blocks of the cache


@dataclass(frozen=True, slots=True)
class ShortDays(Clock):
    """A clock by which an hour is half a minute, and a day two of its hours: what is compared with a day before."""

    speed: float = 120.0

    def seconds(self, duration: str) -> float:
        return Clock.seconds(self, "2h" if duration == "1d" else duration)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A gateway before a Redis, a language model with a small KV cache, the judge of prompts; and who is called."""

    gateway: Process
    redis: Process
    key: str
    language: Predictor
    complexity: Process
    called: OnCall


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, preload: Preload) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("rare")
    with ExitStack() as stack:
        starter = Starter(stack, folder)
        starter.model(MODEL)
        store = starter.redis("everysec")
        store.wait()
        key, user = tenant("user")
        secret, operator = tenant("operator", roles=["admin"])
        secrets = Path(stack.enter_context(TemporaryDirectory())) / "operator"
        secrets.write_text(secret)
        tenants = folder / "tenants.yaml"
        write_tenants(tenants, [user, operator])
        env = {"MAX_BODY_BYTES": str(2 * BODY_BYTES)}
        gateway = starter.gateway("gateway", tenants=tenants, store=f"redis://127.0.0.1:{store.port}/0", env=env)
        complexity = _complexity(stack, folder)
        flags = ("--max-model-len=1024", f"--kv-cache-memory-bytes={KV_BYTES}")
        # It is killed in the end, and what it has in the folder of temporary files stays there.
        language = Predictor(preload, "chat-fast", *flags, TMPDIR=str(folder))
        stack.callback(language.stop)
        for process in (gateway, complexity):
            process.wait()
        language.wait_ready()
        pager = stack.enter_context(Receiver())
        jobs = _jobs(gateway.port, secrets, (language.http, complexity.port), stack.enter_context(big_page()))
        watch = stack.enter_context(Watch(folder / "watch", pager.url, jobs, clock=CLOCK))
        called = OnCall(watch=watch, pager=pager)
        yield Scene(gateway=gateway, redis=store, key=key, language=language, complexity=complexity, called=called)


def _jobs(gateway: int, secrets: Path, predictors: Sequence[int], big: str) -> list[Job]:
    """Return what is scraped at ports of this machine, and at the address ``big``."""
    key = {"authorization": {"credentials_file": str(secrets)}}
    seldom = {"scrape_interval": "5s", "scrape_timeout": "5s"}
    return [
        Job(name="gateway", targets=[(f"127.0.0.1:{gateway}", {})], options=key),
        Job(name="predictor", targets=[(f"127.0.0.1:{port}", {}) for port in predictors]),
        Job(name="big", targets=[(big, {})], options=seldom),
    ]


def _complexity(stack: ExitStack, folder: Path) -> Process:
    port = free_port()
    flags = {"model_name": "complexity", "model_dir": ROOT / "model-repository/complexity", "http_port": port}
    argv = (sys.executable, "-m", "predictors.complexity", "--fast=fast", "--reasoning=reasoning")
    started = Process((*argv, *(f"--{name}={value}" for name, value in flags.items())), folder / "complexity", port)
    stack.callback(started.stop)
    return started


@contextmanager
def big_page() -> Iterator[str]:
    """Serve the metrics of a process that gave a label a value of each request; yield its ``host:port``."""
    body = "\n".join(f'requests_total{{request="{number}"}} 1' for number in range(SERIES)).encode() + b"\n"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_gateway_that_holds_a_large_body_reaches_the_webhook(scene: Scene) -> None:
    headers = f"host: 127.0.0.1\r\nauthorization: Bearer {scene.key}\r\ncontent-length: {BODY_BYTES + 1}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", scene.gateway.port)) as client:
        client.sendall(f"POST /v1/chat/completions HTTP/1.1\r\ncontent-type: application/json\r\n{headers}".encode())
        for _ in range(BODY_BYTES >> 20):
            client.sendall(b"x" * (1 << 20))
        scene.called.wait_for("ProcessMemoryHigh")


def test_a_process_with_too_many_series_reaches_the_webhook(scene: Scene) -> None:
    scene.called.wait_for("ScrapeTooBig")


def test_prompts_that_only_one_tier_can_take_reach_the_webhook(scene: Scene) -> None:
    body = {"model": "auto", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 100_000}

    def ask(client: httpx.Client) -> object:
        return client.post("/", json=body)

    with Clients(scene.complexity.url, scene.key, 1, ask, pause=0.02):
        scene.called.wait_for("RoutingShareOff")


def test_an_engine_with_too_small_a_cache_reaches_the_webhook(scene: Scene) -> None:
    with Clients(f"{scene.language.url}/openai", scene.key, 20, project.chat("chat-fast", 700)):
        scene.called.wait_for("KVCacheFull", maybe=["EnginePreempting", "EngineQueueLong"])


def test_prompts_that_have_nothing_in_common_any_more_reach_the_webhook(scene: Scene, tmp_path: Path) -> None:
    def ask(client: httpx.Client) -> object:
        start = "" if repeated.is_set() else uuid.uuid4().hex
        message = {"role": "user", "content": f"{start} {STORY}"}
        body = {"model": "chat-fast", "messages": [message], "max_tokens": 1}
        return client.post("/v1/chat/completions", json=body)

    repeated = threading.Event()
    repeated.set()
    jobs = [Job(name="predictor", targets=[(f"127.0.0.1:{scene.language.http}", {})])]
    with (
        Receiver() as pager,
        Watch(tmp_path / "watch", pager.url, jobs, clock=ShortDays()) as watch,
        Clients(f"{scene.language.url}/openai", scene.key, 1, ask, pause=0.02),
    ):
        eventually(
            lambda: watch.value('count_over_time(up{job="predictor"}[2m])') >= 90, "the past that the alert looks at"
        )
        repeated.clear()
        OnCall(watch=watch, pager=pager).wait_for("PrefixHitRateHalved")


def test_usage_that_is_given_up_reaches_the_webhook(scene: Scene) -> None:
    scene.redis.kill()
    request = Request(host="127.0.0.1", port=scene.gateway.port, wire=clients.chat(scene.key, MODEL, tokens=1))
    ended = threading.Event()

    def flood() -> None:
        while not ended.is_set():
            asyncio.run(saturate(request, 16, 2.0))

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        scene.called.wait_for("UsageLost")
    finally:
        ended.set()
        thread.join()
