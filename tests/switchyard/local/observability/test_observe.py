"""`switchyard up --observe` with the real programs and stub models: one run for all tests but those that end it."""

import json
import os
import signal
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import psutil
import pytest

from switchyard.gateway.tenants.keys import create_key, digest
from switchyard.local.observability.deployments import NAMES
from tests.live.observability.fire.webhook import Receiver
from tests.switchyard.local.conftest import Local, eventually
from tests.switchyard.local.overlays import Stub

KEY = create_key()  # a tenant's, without a role that would read metrics
TRACE = "0af7651916cd43dd8448eb211c80319c"
SECRET = "of-the-webhook"
WINDOW = 6  # the shortest that lets a target be seen: Prometheus looks for new ones every five seconds
RULES = """
groups:
- name: test
  interval: 1s
  rules:
  - {record: 'slo:attainment:30d', expr: 'vector(0.985)', labels: {slo: model-availability, model: chat}}
  - {alert: Watchdog, expr: 'vector(1)', labels: {severity: none}}
  - {alert: GatewayDown, expr: 'up{job="gateway"} == 1', labels: {severity: page}, annotations: {summary: it is up}}
"""


@pytest.fixture(scope="module")
def webhook() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def both_came(webhook: Receiver) -> bool:
    return all(any(webhook.told(alert)) for alert in ("Watchdog", "GatewayDown"))


def start(local: Local, folder: Path, alerts_to: str = "", tenants: Path | None = None) -> None:
    rules = folder / "rules"
    rules.mkdir()
    (rules / "test.yaml").write_text(RULES)
    variables = {"SWITCHYARD_SCRAPE_INTERVAL": "1s", "SWITCHYARD_RULES": str(rules), "SWITCHYARD_ALERTS_TO": alerts_to}
    if tenants is not None:
        key = {"id": "acme-key", "sha256": digest(KEY.encode()).hex()}
        tenants.write_text(json.dumps({"tenants": [{"name": "acme", "keys": [key]}]}))
        variables["SWITCHYARD_TENANTS"] = str(tenants)
    local.up(Stub(name="chat", window=f"{WINDOW}s"), real_gateway=True, arguments=("--observe",), variables=variables)


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory, webhook: Receiver) -> Iterator[Local]:
    folder = tmp_path_factory.mktemp("observed")
    running = Local(folder)
    try:
        start(running, folder, f"{webhook.url}/{SECRET}", folder / "tenants.yaml")
        eventually(lambda: all(running.row(name)["state"] == "ready" for name in NAMES), running.logs())
        yield running
    finally:
        running.close()
    assert running.left() == []


def ask(observed: Local, **headers: str) -> None:
    body = {"model": "chat", "messages": [{"role": "user", "content": "Hello"}]}
    url = f"{observed.runs[-1].gateway}/v1/chat/completions"
    sent = {"authorization": f"Bearer {KEY}", **headers}
    assert httpx.post(url, json=body, headers=sent, timeout=30, trust_env=False).status_code == 200


def fetch(url: str, **query: str) -> Any:
    with urllib.request.urlopen(f"{url}?{urlencode(query)}" if query else url, timeout=10) as response:
        return json.load(response)


def scraped(observed: Local) -> dict[str, str]:
    """The health of each target, by its job and, of models, their name."""
    found = fetch(f"{observed.runs[-1].observers['prometheus']}/api/v1/targets", state="active")
    labels = [(row["labels"], row["health"]) for row in found["data"]["activeTargets"]]
    return {label.get("service", label["job"]): health for label, health in labels}


def test_addresses_are_printed_and_in_the_status(observed: Local) -> None:
    run, shown = observed.runs[-1], observed.command("status").stdout
    assert [*run.observers] == ["prometheus", "alertmanager", "jaeger", "otlp"]
    for url in run.observers.values():
        assert url in observed.printed
        assert url in shown
    for name in NAMES:
        assert f"\n{name} " in shown
    assert json.loads(observed.command("status", "--json").stdout)["observers"] == run.observers


def test_every_process_that_runs_is_scraped_and_no_other(observed: Local) -> None:
    always = dict.fromkeys(("supervisor", "gateway", *NAMES), "up")
    eventually(lambda: scraped(observed) == always, f"they are scraped: {scraped(observed)}")


def test_prometheus_has_a_key_of_the_run_that_reads_the_gateways_metrics_and_nothing_else(observed: Local) -> None:
    file = observed.directory.path / "observability/gateway-key"
    assert file.stat().st_mode & 0o777 == 0o600
    key, gateway = file.read_text(), observed.runs[-1].gateway
    for path, sent, status in (
        ("/metrics", key, 200),
        ("/metrics", f"{key}x", 401),
        ("/metrics", KEY, 403),
        ("/v1/models", KEY, 200),
        ("/v1/models", key, 401),
        ("/v1/organization/costs?start_time=0", key, 401),
    ):
        headers = {"authorization": f"Bearer {sent}"}
        assert httpx.get(f"{gateway}{path}", headers=headers, trust_env=False).status_code == status, path
    files = [one for one in observed.directory.path.rglob("*") if one.is_file() and one != file]
    assert [one for one in files if key.encode() in one.read_bytes()] == []
    assert key not in observed.printed + observed.command("status", "--json").stdout
    for process in psutil.process_iter(["cmdline", "environ"]):
        assert key not in f"{process.info['cmdline']} {process.info['environ']}"


def test_a_model_is_scraped_while_it_is_awake(observed: Local) -> None:
    def awake() -> bool:
        ask(observed)
        return scraped(observed).get("chat") == "up"

    eventually(awake, "the model that is awake is scraped")
    eventually(lambda: "chat" not in scraped(observed), "one that sleeps is not")


def test_a_request_is_one_trace_that_is_printed_as_a_tree(observed: Local) -> None:
    ask(observed, traceparent=f"00-{TRACE}-b7ad6b7169203331-01")

    def printed() -> list[str]:
        return observed.command("trace", TRACE).stdout.splitlines()

    eventually(lambda: any("activator" in line for line in printed()), "the trace is there")
    title, first, *rest = printed()
    assert title == f"trace {TRACE}"
    assert first.startswith("gateway ")
    assert any("└─ activator" in line for line in rest)


def test_objectives_and_alerts_are_read_from_it(observed: Local) -> None:
    eventually(lambda: "98.5 %" in observed.command("status", "--slo").stdout, "the rules have been evaluated")
    shown = observed.command("status", "--slo").stdout
    assert "firing GatewayDown (page)" in shown
    assert "it is up" in shown
    report = json.loads(observed.command("status", "--slo", "--json").stdout)
    assert report["objectives"][0]["attained"] == 0.985
    assert [alert["name"] for alert in report["alerts"]] == ["GatewayDown"]


def test_alerts_reach_the_webhook(observed: Local, webhook: Receiver) -> None:
    eventually(lambda: both_came(webhook), "both were sent")


def test_nobody_but_the_supervisor_knows_the_webhooks_address(observed: Local) -> None:
    ask(observed)  # so that a model runs too
    assert "/alerts" in json.dumps(status := fetch(f"{observed.runs[-1].observers['alertmanager']}/api/v2/status"))
    assert SECRET not in json.dumps(status)
    relay_key = observed.directory.path / "observability/relay-key"
    assert relay_key.stat().st_mode & 0o777 == 0o600
    assert relay_key.read_text() not in json.dumps(status)
    assert httpx.post(f"{observed.runs[-1].control}/alerts", trust_env=False).status_code == 401
    files = [one for one in observed.directory.path.rglob("*") if one.is_file()]
    assert [one for one in files if SECRET.encode() in one.read_bytes()] == []
    # Its own variables are as it was started with them, and for its user alone to read.
    children = psutil.Process(observed.runs[-1].supervisor.pid).children(recursive=True)
    assert len(children) > len(NAMES)
    for process in children:
        assert SECRET not in f"{process.cmdline()} {process.environ()}"


def test_everything_listens_on_loopback_and_no_page_of_another_origin_reads_metrics(observed: Local) -> None:
    url = observed.runs[-1].observers["prometheus"]
    request = urllib.request.Request(f"{url}/api/v1/query?query=up", headers={"origin": "http://example.com"})
    with urllib.request.urlopen(request, timeout=10) as response:
        assert response.headers["access-control-allow-origin"] is None
    pids = {observed.row(name)["pid"] for name in NAMES}
    sockets = [one for one in psutil.net_connections("tcp") if one.pid in pids]
    assert {one.laddr.ip for one in sockets if one.status == psutil.CONN_LISTEN} == {"127.0.0.1"}


def test_prometheus_can_be_neither_ended_nor_emptied_over_http(observed: Local) -> None:
    url = observed.runs[-1].observers["prometheus"]
    for path, words in {
        "/-/quit": "Lifecycle API is not enabled",
        "/-/reload": "Lifecycle API is not enabled",
        "/api/v1/admin/tsdb/delete_series?match[]=up": "admin APIs disabled",
    }.items():
        assert words in httpx.post(f"{url}{path}", timeout=10, trust_env=False).text


def test_one_that_dies_is_started_again_at_its_address_and_gets_the_alerts_at_once(
    observed: Local, webhook: Receiver
) -> None:
    before = observed.row("alertmanager")
    os.kill(before["pid"], signal.SIGKILL)
    webhook.messages.clear()
    eventually(lambda: observed.row("alertmanager")["pid"] not in (0, before["pid"]), "another process is there")
    eventually(lambda: observed.row("alertmanager")["state"] == "ready", "it is ready")
    # What it had sent died with it, and by Prometheus' own default it would hear of nothing for a minute.
    eventually(lambda: both_came(webhook), "both were sent again")
    assert fetch(f"{observed.runs[-1].observers['alertmanager']}/api/v2/status")


def test_what_runs_unobserved_is_not_observed_by_another_up(local: Local) -> None:
    local.up(Stub(name="chat"))
    again = local.command("up", "overlay", "--detach", "--observe")
    assert again.returncode == 1
    assert "runs already, and nothing observes it: run `" in again.stderr
    assert "nothing observes this run" in local.command("status", "--slo").stderr


def test_nothing_is_left_of_it_when_the_supervisor_is_killed(local: Local, tmp_path: Path) -> None:
    start(local, tmp_path)
    eventually(lambda: all(local.row(name)["state"] == "ready" for name in NAMES), "all run")
    ports = [urlsplit(url).port for url in local.runs[-1].observers.values()]
    local.stop(signal.SIGKILL)
    eventually(lambda: local.left() == [], "its processes end with it")
    for port in ports:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port or 0)) != 0
