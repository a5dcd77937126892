"""Alertmanager's configuration: who is told, and that one cause is one alert, seen in a real Alertmanager."""

import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.dashboards.alerting.promtool import ALERTS
from tests.ports import free_port

ROOT = Path(__file__).parents[3]
FILE = ROOT / "dashboards" / "alertmanager.yaml"
SECONDS = 30.0
NAMES = {alert.name for alert in ALERTS}
Labels = Mapping[str, str]


def test_amtool_finds_no_fault() -> None:
    done = subprocess.run(["amtool", "check-config", str(FILE)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("alert", "receiver"),
    [*((alert, alert.severity) for alert in ALERTS if alert.severity != "none"), (ALERTS[0], "page")],
    ids=lambda one: getattr(one, "name", one),
)
def test_an_alert_goes_to_who_is_there_for_it(alert: Any, receiver: str) -> None:
    assert _route({"alertname": alert.name, "severity": alert.severity}) == receiver


def test_the_watchdog_goes_to_who_complains_when_it_stays_away() -> None:
    assert _route({"alertname": "Watchdog", "severity": "none"}) == "watchdog"


def _route(labels: Labels) -> str:
    command = ["amtool", "config", "routes", "test", f"--config.file={FILE}"]
    command += [f"{name}={value}" for name, value in labels.items()]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_a_page_does_not_wait_for_others() -> None:
    page, watchdog = yaml.safe_load(FILE.read_text())["route"]["routes"]
    assert (page["group_wait"], watchdog["group_wait"]) == ("5s", "0s")


def _alternatives(matchers: list[str]) -> tuple[set[str], dict[str, str]]:
    """Return the alerts that matchers name, each by its name, and what they want of other labels."""
    names, labels = set[str](), dict[str, str]()
    for matcher in matchers:
        label, operator, value = re.fullmatch(r'(\w+) (=~?) "(.+)"', matcher).groups()  # type: ignore[union-attr]
        if label != "alertname":
            labels[label] = value
            continue
        for pattern in re.split(r"\|(?![^(]*\))", value):
            found = {name for name in NAMES if (re.fullmatch(pattern, name) if operator == "=~" else pattern == name)}
            assert found, f"{matcher} names no alert"
            names |= found
    return names, labels


def test_each_pair_of_alerts_of_an_inhibition_has_its_case() -> None:
    cases = [(source, target) for _, source, target, muted in CASES if muted]
    missing = []
    for rule in yaml.safe_load(FILE.read_text())["inhibit_rules"]:
        (sources, wanted), (targets, asked) = (_alternatives(rule[f"{end}_matchers"]) for end in ("source", "target"))
        for pair in product(sources or {""}, targets or {""}):
            ends = [
                {**labels, **({"alertname": name} if name else {})}
                for name, labels in zip(pair, (wanted, asked), strict=True)
            ]
            if not any(all(end.items() <= one.items() for end, one in zip(ends, case, strict=True)) for case in cases):
                missing.append(pair)

    assert missing == []


def firing(name: str, **labels: str) -> Labels:
    """Return the labels of an alert, with the severity that it has, of an SLO in that window."""
    found = {one.severity for one in ALERTS if one.name == name and one.labels.get("window") == labels.get("window")}
    (severity,) = found
    return {"alertname": name, "severity": severity, **labels}


REDIS, STORE, GATEWAY = firing("RedisDown"), firing("QuotaStoreDown"), firing("GatewayDown")
MODEL = firing("ModelAvailabilityBurn", window="acute", model="a")
MODEL_SLOWLY = firing("ModelAvailabilityBurn", window="days", model="a")
LATE = firing("ModelFirstTokenBurn", window="fast", model="a")
STREAM = firing("ModelInterTokenBurn", window="fast", model="a")
TENANT = firing("TenantAvailabilityBurn", window="acute", tenant="t")
TENANT_SLOWLY = firing("TenantAvailabilityBurn", window="days", tenant="t")
TENANT_LATE = firing("TenantFirstTokenBurn", window="fast", tenant="t")
FULL_CACHE = firing("KVCacheFull", model="a")

# What fires, what fires with it, and whether that is kept quiet.
CASES: list[tuple[str, Labels, Labels, bool]] = [
    ("a page of an SLO mutes its tickets", MODEL, MODEL_SLOWLY, True),
    ("but not those of another model", MODEL, {**MODEL_SLOWLY, "model": "b"}, False),
    ("a gateway that is down mutes its models' alerts", GATEWAY, LATE, True),
    ("and that it cannot be read", GATEWAY, firing("TargetDown", job="gateway", instance="g"), True),
    ("but not that another process cannot", GATEWAY, firing("TargetDown", job="predictor", instance="p"), False),
    ("and that no other one responds", GATEWAY, firing("NoGatewayResponds"), True),
    *((f"and {one['alertname']} of it", GATEWAY, one, True) for one in (MODEL, STREAM, TENANT, TENANT_LATE, STORE)),
    *(
        (f"and its {name}", GATEWAY, firing(name), True)
        for name in ("QueueForPlaceLong", "LedgerBehind", "KeysOutdated")
    ),
    ("Redis that is down mutes that the store is away", REDIS, STORE, True),
    *((f"and that {name}", REDIS, firing(name), True) for name in ("LedgerBehind", "KeysOutdated")),
    ("and what fails by it", REDIS, MODEL, True),
    ("and that Redis cannot be read", REDIS, firing("TargetDown", job="redis", instance="r"), True),
    ("but not that another cannot", REDIS, firing("TargetDown", job="gateway", instance="g"), False),
    ("and what tenants feel of it", REDIS, TENANT, True),
    ("but not what was lost meanwhile", REDIS, firing("UsageLost"), False),
    ("nor that streams begin late", REDIS, LATE, False),
    ("a store that is away mutes what fails by it", STORE, MODEL, True),
    *((f"a store that is away mutes {name}", STORE, firing(name), True) for name in ("LedgerBehind", "KeysOutdated")),
    ("and what its tenants feel of it", STORE, TENANT, True),
    ("a model that fails mutes that its tenants' calls do", MODEL, TENANT, True),
    ("one that fails slowly does not, as that is not why all of a tenant's do", MODEL_SLOWLY, TENANT, False),
    ("and mutes that its tenants' do as slowly", MODEL_SLOWLY, TENANT_SLOWLY, True),
    ("one whose streams begin late mutes that its tenants' do", LATE, TENANT_LATE, True),
    (
        "and why it does not start",
        firing("ModelWakeStuck", model="a"),
        firing("ModelStartFailing", model="a"),
        True,
    ),
    (
        "a model that does not wake is why requests are held",
        firing("ModelWakeStuck", model="a"),
        firing("RequestsHeldTooLong", model="a"),
        True,
    ),
    ("a cause mutes no page", FULL_CACHE, LATE, False),
    ("a full cache is why requests queue in the engine", FULL_CACHE, firing("EngineQueueLong", model="a"), True),
    ("and are pushed out of it", FULL_CACHE, firing("EnginePreempting", model="a"), True),
    (
        "a revision with all the pods that it may have is why it panics",
        firing("KnativeAtMaxScale", kn_revision_name="a-1"),
        firing("KnativePanicLong", kn_revision_name="a-1"),
        True,
    ),
    (
        "a revision without its pods is why it panics",
        firing("KnativeStuckScaleUp", kn_revision_name="a-1"),
        firing("KnativePanicLong", kn_revision_name="a-1"),
        True,
    ),
    (
        "keys that go are more than memory that is short",
        firing("RedisEvicting", instance="r"),
        firing("RedisMemoryHigh", instance="r"),
        True,
    ),
    (
        "what cannot be sent is why spans are dropped",
        firing("CollectorExportFailing", instance="c", exporter="otlp"),
        firing("CollectorDroppingSpans", instance="c"),
        True,
    ),
]


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("alertmanager")
    url = f"http://127.0.0.1:{(port := free_port())}"
    configuration = yaml.safe_load(FILE.read_text())
    configuration["receivers"] = [{"name": one["name"]} for one in configuration["receivers"]]  # nobody is told
    (folder / "alertmanager.yaml").write_text(yaml.safe_dump(configuration))
    flags = [f"--config.file={folder / 'alertmanager.yaml'}", f"--storage.path={folder / 'data'}"]
    flags += [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="]
    log = folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(["prometheus-alertmanager", *flags], stdout=file, stderr=subprocess.STDOUT)
    try:
        _until(lambda: _responds(url), log)
        yield url
    finally:
        process.terminate()
        process.wait()


def _responds(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/-/ready", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def _until(condition: Any, log: Path) -> Any:
    end = time.monotonic() + SECONDS
    while not (found := condition()):
        assert time.monotonic() < end, log.read_text()[-2000:]
        time.sleep(0.02)
    return found


@pytest.fixture(scope="module")
def muted(alertmanager: str, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bool]:
    """Fire all cases at once, each in a namespace of its own; return in which the second alert is kept quiet."""
    now = datetime.now(UTC).isoformat()
    alerts = [
        {"labels": {"namespace": str(number), "k8s_namespace_name": str(number), **labels}, "startsAt": now}
        for number, (_, source, target, _) in enumerate(CASES)
        for labels in (source, target)
    ]
    body = json.dumps(alerts).encode()
    request = urllib.request.Request(
        f"{alertmanager}/api/v2/alerts", body, {"content-type": "application/json"}, method="POST"
    )
    urllib.request.urlopen(request, timeout=10).close()

    def known() -> list[dict[str, Any]] | None:
        with urllib.request.urlopen(f"{alertmanager}/api/v2/alerts", timeout=10) as response:
            found: list[dict[str, Any]] = json.load(response)
        every = len(found) == len(alerts) and all(one["status"]["state"] != "unprocessed" for one in found)
        return found if every else None

    found = _until(known, Path("/dev/null"))
    states = {
        (
            one["labels"]["namespace"],
            one["labels"]["alertname"],
            one["labels"]["severity"],
            one["labels"].get("model"),
        ): bool(one["status"]["inhibitedBy"])
        for one in found
    }
    return {
        name: states[str(number), target["alertname"], target["severity"], target.get("model")]
        for number, (name, _, target, _) in enumerate(CASES)
    }


@pytest.mark.parametrize(("name", "is_muted"), [(name, muted) for name, _, _, muted in CASES], ids=lambda one: str(one))
def test_one_cause_is_one_alert(muted: Mapping[str, bool], name: str, is_muted: bool) -> None:
    assert muted[name] is is_muted
