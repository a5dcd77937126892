"""What is broken in a platform that runs reaches whoever is called: real faults, Prometheus, Alertmanager, webhook.

The rules are those that are shipped, by a ``CLOCK`` that is twenty times as fast; thresholds are as they are. All that
can be broken at once is, before the first test: each waits for no more than its own alerts.
"""

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.live.observability.fire import faults, project
from tests.live.observability.fire.calling import CLOCK, SECONDS, OnCall
from tests.live.observability.fire.edge import FULL_MODEL, MODEL, NAMESPACE, Edge
from tests.live.observability.fire.programs import SHORT_RETRIES, SMALL_QUEUE, FullNode, FullRedis, StuckCollector
from tests.live.observability.fire.project import Ask, Clients, Keys
from tests.live.observability.fire.webhook import Receiver
from tests.live.observability.tenanted import write_tenants
from tests.live.observability.watching import Job, Watch
from tests.live.platform import Platform

pytestmark = pytest.mark.live

STARTED = 300.0  # the first start of a language model waits for imports


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A platform with tenants, what runs beside it, and who is called."""

    platform: Platform
    edge: Edge
    full: FullRedis
    keys: Keys
    called: OnCall

    def clients(
        self, count: int, ask: Ask, tenant: str = "acme", pause: float = 0.05, seconds: float = 60.0
    ) -> Clients:
        return Clients(self.platform.url, self.keys.secrets.get(tenant, tenant), count, ask, pause, seconds)

    def edge_clients(self, count: int, model: str) -> Clients:
        return Clients(self.edge.url, self.edge.key, count, project.chat(model))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder, keys = tmp_path_factory.mktemp("fire"), Keys()
    platform = project.write(folder, keys)
    project.drop_vision_models(platform, folder / "nothing-is-here")
    with ExitStack() as stack:
        stack.callback(platform.close)
        platform.up()
        stack.callback(platform.down)
        woken = stack.enter_context(ThreadPoolExecutor(1)).submit(wake, platform, keys, "chat-fast")
        secrets = Path(stack.enter_context(TemporaryDirectory()))  # no test's server writes keys into its own folder
        operator = secrets / "operator"
        operator.write_text(keys.secrets["operator"])
        edge = Edge(stack, folder / "edge", secrets / "operator-of-edge")
        full_queue = StuckCollector(stack, folder / "full-queue", SMALL_QUEUE)
        giving_up = StuckCollector(stack, folder / "giving-up", SHORT_RETRIES)
        full, node = FullRedis(stack, folder / "full"), FullNode(stack, folder / "node")
        jobs = [_platform(platform, operator), *edge.jobs(), full.job(), node.job()]
        jobs += [full_queue.job("collector"), giving_up.job("giving-up")]
        pager = stack.enter_context(Receiver())
        watch = stack.enter_context(Watch(folder / "watch", pager.url, jobs, clock=CLOCK))
        scene = Scene(platform=platform, edge=edge, full=full, keys=keys, called=OnCall(watch=watch, pager=pager))
        woken.result()
        _break(stack, scene)
        yield scene


def wake(platform: Platform, keys: Keys, model: str) -> None:
    """Ask a language model once, which waits until it is ready."""
    with project.client(platform.url, keys.secrets["acme"], STARTED) as asking:
        project.chat(model)(asking)


def _platform(platform: Platform, operator: Path) -> Job:
    """Return what the supervisor says is there, at any time; the gateway shows its metrics to the ``operator``."""
    options = {"authorization": {"credentials_file": str(operator)}}
    return Job(name="switchyard", found_at=f"{platform.record()['control']}/targets", options=options)


def _break(stack: ExitStack, scene: Scene) -> None:
    """Break all that can be broken at once, until the stack is left."""
    scene.full.leave(0.04)
    scene.called.watch.add_rule("up * on (namespace) up")  # of which Prometheus cannot say what it means
    scene.edge.certificate.certificate.write_text("this is no certificate\n")
    scene.edge.redis.kill()
    clients = (
        scene.edge_clients(2, MODEL),
        scene.edge_clients(8, FULL_MODEL),
        scene.clients(4, project.chat("killed"), pause=0.2),
        # They get no response, and the end waits for them; one asks while the other begins anew.
        scene.clients(1, project.chat("stuck", stream=False), seconds=12.0),
        scene.clients(1, project.chat("stuck", stream=False), seconds=13.0),
        scene.clients(1, project.chat("unstartable"), pause=0.5),
        scene.clients(8, project.infer("sluggish")),
        scene.clients(1, project.infer("failing")),
        scene.clients(1, project.infer("unloadable"), pause=0.5),
        scene.clients(1, project.chat("picky")),
        scene.clients(2, project.chat("lost"), pause=0.2),
        scene.clients(3, project.infer("sluggish"), tenant="sy-nobody"),
        scene.clients(1, project.infer("sluggish"), tenant="saver"),
        scene.clients(24, project.chat("chat-fast")),
    )
    sync = scene.edge.sync
    for fault in (
        *clients,
        faults.few_descriptors(sync.tree.pid, sync.port),
        faults.kill_loop(scene.platform, "killed"),
        faults.slow_engine(scene.platform, "chat-fast"),
    ):
        stack.enter_context(fault)
    for one in clients:  # all of them, before the first is waited for
        stack.callback(one.leave)


def test_an_engine_that_is_slow_and_models_that_fail_reach_the_webhook(scene: Scene) -> None:
    scene.called.wait_for(
        "Watchdog",
        "ModelAvailabilityBurn",
        "ModelFirstTokenBurn",
        "ModelInterTokenBurn",
        maybe=["TenantAvailabilityBurn", "TenantFirstTokenBurn"],  # a model's of the same window may not fire meanwhile
    )


def test_a_store_that_is_away_and_a_file_of_tenants_that_is_not_valid_reach_the_webhook(scene: Scene) -> None:
    # Others can still read: its keys are as new as ever.
    ledger = sqlite3.connect(scene.platform.state / "ledger.db", isolation_level=None)
    write_tenants(scene.platform.overlay, scene.keys.invalid)
    scene.platform.command("up", str(scene.platform.overlay))
    ledger.execute("BEGIN EXCLUSIVE")
    try:
        with scene.clients(1, project.make_key, tenant="operator", pause=1.0):
            scene.called.wait_for("QuotaStoreDown", "TenantsFileNotInForce", "AuditUnwritten", maybe=["LedgerBehind"])
    finally:
        ledger.rollback()
        ledger.close()
    scene.called.pager.wait("QuotaStoreDown", SECONDS, status="resolved", namespace="local")


def test_a_redis_that_is_full_and_one_that_removes_keys_reach_the_webhook(scene: Scene) -> None:
    scene.called.wait_for("RedisMemoryHigh")
    scene.full.evict()
    scene.called.wait_for("RedisEvicting")


def test_what_is_broken_in_models_graphs_and_access_reaches_the_webhook(scene: Scene) -> None:
    scene.called.wait_for(
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
        "QueueForPlaceLong",
        maybe=["RequestsHeldTooLong", "ModelStartFailing"],  # as it is the same model that does not wake, or another
    )


def test_a_certificate_a_stopped_redis_and_a_store_of_models_that_is_away_reach_the_webhook(scene: Scene) -> None:
    scene.called.wait_for(
        "CertificateNotInForce",
        "RedisDown",
        "DownloadsFailing",
        muted=["QuotaStoreDown", "KeysOutdated"],
        namespace=NAMESPACE,
    )
    scene.called.wait_for("CertificateExpiresSoon", severity="page", namespace=NAMESPACE)  # it has expired
    scene.called.wait_for(muted=["CertificateExpiresSoon"], severity="ticket", namespace=NAMESPACE)


def test_what_is_broken_in_monitoring_and_the_node_reaches_the_webhook(scene: Scene) -> None:
    scene.called.wait_for(
        "RuleEvaluationFailing",
        "AlertDeliveryFailing",
        "CollectorDroppingSpans",
        "CollectorExportFailing",
        "ProcessFileDescriptors",
        "NodeMemoryPressure",
        "NodeDiskPressure",
    )


def test_gateways_that_do_not_respond_reach_the_webhook(scene: Scene) -> None:
    gateways = [scene.platform.row("gateway")["pid"], scene.edge.gateway.tree.pid]
    began = time.monotonic()
    for gateway in gateways:
        os.kill(gateway, signal.SIGSTOP)
    try:
        scene.called.wait_for("GatewayDown", muted=["NoGatewayResponds", "TargetDown"])
        # It fires minutes after what mutes it.
        assert [one for one in scene.called.pager.told("NoGatewayResponds") if one.at > began] == []
    finally:
        for gateway in gateways:
            os.kill(gateway, signal.SIGCONT)
    scene.called.pager.wait("GatewayDown", SECONDS, status="resolved")
