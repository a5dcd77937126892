"""What is broken in a platform that runs reaches whoever is called: real faults, Prometheus, Alertmanager, webhook.

The rules are those that are shipped, with every duration divided by ``SPEED``; thresholds are as they are.
"""

import os
import signal
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.live.observability import project
from tests.live.observability.edge import MODEL, Edge
from tests.live.observability.project import Ask, Clients, Keys
from tests.live.observability.tenanted import write_tenants
from tests.live.observability.watching import Job, Watch
from tests.live.observability.webhook import Receiver
from tests.live.platform import Platform
from tests.live.processes import descendants, eventually

pytestmark = pytest.mark.live

SPEED = 20.0
SECONDS = 240.0  # until all that is broken at once was told
STARTED = 300.0  # the first start of a language model waits for imports


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A platform with tenants, and who watches it."""

    platform: Platform
    edge: Edge
    keys: Keys
    watch: Watch
    pager: Receiver

    def clients(self, count: int, ask: Ask, tenant: str = "acme", pause: float = 0.05) -> Clients:
        return Clients(self.platform.url, self.keys.secrets.get(tenant, tenant), count, ask, pause)

    def state(self, name: str) -> str:
        return str(self.platform.row(name)["state"])

    def ready(self, model: str) -> None:
        """Ask a language model until it is."""
        with self.clients(1, project.chat(model)):
            eventually(lambda: self.state(model) == "ready", f"{model} is ready", STARTED)

    def wait_for(self, *told: str, muted: Sequence[str] = ()) -> None:
        """Wait until the pager was told each alert, or Alertmanager has it and another one mutes it."""

        def missing() -> list[str]:
            arrived = {message.alert for message in self.pager.messages if message.status == "firing"}
            kept = arrived | self.watch.inhibited()
            return [alert for alert in told if alert not in arrived] + [alert for alert in muted if alert not in kept]

        try:
            eventually(lambda: not missing(), "all arrive", SECONDS)
        except AssertionError as err:
            raise AssertionError(f"not within {SECONDS:g} s: {missing()}\n{self.watch.logs()}") from err
        for alert in told:
            (first, *_) = self.pager.told(alert)
            assert first.annotations["runbook_url"].endswith(f"docs/runbooks/{alert}.md")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder, keys = tmp_path_factory.mktemp("fire"), Keys()
    platform = project.write(folder, keys)
    project.drop_vision_models(platform, folder / "nothing-is-here")
    with ExitStack() as stack:
        stack.callback(platform.close)
        platform.up()
        stack.callback(platform.down)
        secrets = Path(stack.enter_context(TemporaryDirectory()))  # no test's server writes keys into its own folder
        operator = secrets / "operator"
        operator.write_text(keys.secrets["operator"])
        edge = Edge(stack, folder / "edge", secrets / "operator-of-edge")
        pager = stack.enter_context(Receiver())
        watch = Watch(folder / "watch", pager.url, [*_jobs(platform, operator), *edge.jobs()], speed=SPEED)
        stack.enter_context(watch)
        yield Scene(platform=platform, edge=edge, keys=keys, watch=watch, pager=pager)


def _jobs(platform: Platform, operator: Path) -> list[Job]:
    """Return what the supervisor says is there, at any time; the gateway shows its metrics to the ``operator``."""
    options = {"authorization": {"credentials_file": str(operator)}}
    return [Job(name="switchyard", found_at=f"{platform.record()['control']}/targets", options=options)]


@contextmanager
def slow_engine(scene: Scene, model: str) -> Iterator[None]:
    """Let the engine of a model run for a thirtieth of the time."""
    (engine, *_) = descendants(scene.platform.row(model)["pid"])
    ended = threading.Event()

    def brake() -> None:
        while not ended.wait(0.03):
            os.kill(engine, signal.SIGSTOP)
            ended.wait(1.0)
            os.kill(engine, signal.SIGCONT)

    thread = threading.Thread(target=brake)
    thread.start()
    try:
        with scene.clients(24, project.chat(model)):
            yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def kill_loop(scene: Scene, model: str) -> Iterator[None]:
    """End the process of a model whenever it serves."""
    ended = threading.Event()

    def kill() -> None:
        while not ended.wait(0.1):
            row = scene.platform.row(model)
            if row["state"] == "ready":
                with suppress(ProcessLookupError):  # it is killed already, and not seen to be
                    os.kill(row["pid"], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        with scene.clients(4, project.chat(model), pause=0.2):
            yield
    finally:
        ended.set()
        thread.join()


def test_what_is_broken_in_models_graphs_and_access_reaches_the_webhook(scene: Scene) -> None:
    scene.ready("chat-fast")
    scene.watch.add_rule("up * on (namespace) up")  # of which Prometheus cannot say what it means
    with ExitStack() as broken:
        for fault in (
            kill_loop(scene, "killed"),
            scene.clients(1, project.chat("stuck")),
            scene.clients(1, project.chat("unstartable"), pause=0.5),
            scene.clients(8, project.infer("sluggish")),
            scene.clients(1, project.infer("failing")),
            scene.clients(1, project.infer("unloadable"), pause=0.5),
            scene.clients(1, project.chat("picky")),
            scene.clients(2, project.chat("lost"), pause=0.2),
            scene.clients(3, project.chat("chat-fast"), tenant="sy-nobody"),
            scene.clients(1, project.infer("sluggish"), tenant="saver"),
        ):
            broken.enter_context(fault)
        with slow_engine(scene, "chat-fast"):
            scene.wait_for("ModelFirstTokenBurn", "ModelInterTokenBurn", muted=["TenantFirstTokenBurn"])
        with scene.clients(20, project.chat("chat-fast", 700)):
            scene.wait_for("KVCacheFull", muted=["EnginePreempting", "EngineQueueLong"])
        scene.wait_for(
            "Watchdog",
            "ModelAvailabilityBurn",
            "ModelWakeStuck",
            "ModelCrashLooping",
            "ModelFolderFailed",
            "ModelLoadFailing",
            "GraphStepFailing",
            "GraphStepUnmatched",
            "TritonQueueLong",
            "TritonRejecting",
            "KeysGuessed",
            "BudgetWebhookFailing",
            "IssuerKeysOutdated",
            "RuleEvaluationFailing",
            "AlertDeliveryFailing",
            muted=["TenantAvailabilityBurn", "RequestsHeldTooLong", "ModelStartFailing"],
        )


def test_a_store_that_is_away_and_a_file_of_tenants_that_is_not_valid_reach_the_webhook(scene: Scene) -> None:
    # Others can still read: its keys are as new as ever.
    ledger = sqlite3.connect(scene.platform.state / "ledger.db", isolation_level=None)
    write_tenants(scene.platform.overlay, scene.keys.invalid)
    scene.platform.command("up", str(scene.platform.overlay))
    ledger.execute("BEGIN EXCLUSIVE")
    try:
        with (
            scene.clients(2, project.infer("sluggish")),
            scene.clients(1, project.make_key, tenant="operator", pause=1.0),
        ):
            scene.wait_for("QuotaStoreDown", "TenantsFileNotInForce", "AuditUnwritten", muted=["LedgerBehind"])
    finally:
        ledger.rollback()
        ledger.close()
    scene.pager.wait("QuotaStoreDown", SECONDS, status="resolved")


def test_a_certificate_a_stopped_redis_and_a_store_of_models_that_is_away_reach_the_webhook(scene: Scene) -> None:
    scene.edge.certificate.certificate.write_text("this is no certificate\n")
    scene.edge.redis.kill()
    with Clients(scene.edge.url, scene.edge.key, 2, project.chat(MODEL)):
        scene.wait_for(
            "CertificateExpiresSoon",
            "CertificateNotInForce",
            "RedisDown",
            "DownloadsFailing",
            muted=["QuotaStoreDown", "KeysOutdated"],
        )


def test_gateways_that_do_not_respond_reach_the_webhook(scene: Scene) -> None:
    gateways = [scene.platform.row("gateway")["pid"], scene.edge.gateway.tree.pid]
    for gateway in gateways:
        os.kill(gateway, signal.SIGSTOP)
    try:
        scene.wait_for("GatewayDown", muted=["NoGatewayResponds", "TargetDown"])
    finally:
        for gateway in gateways:
            os.kill(gateway, signal.SIGCONT)
    scene.pager.wait("GatewayDown", SECONDS, status="resolved")
