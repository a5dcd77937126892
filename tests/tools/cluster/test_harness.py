"""The harness's own parts that need no cluster."""

import json
import sys
from pathlib import Path

import pytest

from tools.cluster.kubernetes import kubectl
from tools.cluster.kubernetes.pki import AUTHORITY
from tools.cluster.machine import processes
from tools.cluster.machine.layout import API_SERVER
from tools.cluster.machine.shell import ClusterError, ProcessDiedError, eventually, run
from tools.cluster.software.programs import ALL, INGRESS, released_beside


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "admin.conf"
    monkeypatch.setattr(kubectl, "ADMIN_KUBECONFIG", path)
    return path


def cluster(server: str, authority: str) -> str:
    entry = {"name": "it", "cluster": {"server": server, "certificate-authority": authority}}
    return json.dumps({"clusters": [entry]})


def test_a_kubeconfig_of_this_harness_is_taken(kubeconfig: Path) -> None:
    kubeconfig.write_text(cluster(API_SERVER, str(AUTHORITY)))
    kubectl.check_ours()


@pytest.mark.parametrize(
    "text",
    [
        cluster("https://production.example.com", str(AUTHORITY)),
        cluster(API_SERVER, "/etc/kubernetes/pki/ca.crt"),
        "{}",
        "apiVersion: v1",
    ],
)
def test_any_other_kubeconfig_is_rejected(kubeconfig: Path, text: str) -> None:
    kubeconfig.write_text(text)
    with pytest.raises(ClusterError, match="refusing"):
        kubectl.check_ours()


def test_without_a_cluster_one_is_told_how_to_make_it(kubeconfig: Path) -> None:
    with pytest.raises(ClusterError, match="make cluster"):
        kubectl.kubectl("get", "pods")


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(processes, "_RECORDS", tmp_path / "processes")
    monkeypatch.setattr(processes, "LOGS", tmp_path / "logs")
    return tmp_path


def test_a_process_is_started_once_and_ended_by_its_identity(records: Path) -> None:
    processes.start("sleeper", ["sleep", "60"])
    first = processes.pid("sleeper")
    processes.start("sleeper", ["sleep", "60"])
    assert processes.pid("sleeper") == first
    processes.stop("sleeper")
    assert not processes.running("sleeper")
    assert processes.names() == []


def test_another_process_with_a_remembered_id_is_left_alone(records: Path) -> None:
    processes.start("sleeper", ["sleep", "60"])
    number = processes.pid("sleeper")
    assert number is not None
    record = records / "processes" / "sleeper"
    kept = record.read_text()
    record.write_text(f"{number} 1")
    processes.stop("sleeper")
    assert Path(f"/proc/{number}").exists()
    record.parent.mkdir(exist_ok=True)
    record.write_text(kept)
    processes.stop("sleeper", seconds=0)


def test_waiting_ends_at_once_when_what_is_waited_for_has_died(records: Path) -> None:
    processes.start("failing", [sys.executable, "-c", "import sys; sys.exit('no such certificate')"])

    def ready() -> bool:
        processes.check("failing")
        return False

    with pytest.raises(ProcessDiedError, match="no such certificate"):
        eventually("it answers", ready, 30)


def test_waiting_tells_the_last_error() -> None:
    def ready() -> bool:
        raise ClusterError("connection refused")

    with pytest.raises(ClusterError, match=r"it answers: not within 0 s .*connection refused"):
        eventually("it answers", ready, 0)


def test_a_commands_failure_carries_what_it_printed() -> None:
    with pytest.raises(ClusterError, match="no such option"):
        run(sys.executable, "-c", "import sys; sys.exit('no such option')")


def test_no_two_programs_are_kept_in_one_place() -> None:
    assert len({program.path for program in ALL}) == len(ALL)


def test_the_ingress_routes_by_its_table() -> None:
    assert "ok" in run("go", "test", "./...", cwd=INGRESS.sources)


def test_only_the_modules_that_are_released_with_kubernetes_get_its_number() -> None:
    stated = ("k8s.io/api v0.0.0", "k8s.io/utils v0.0.0-20250604170112-4c0f3b243397", "k8s.io/klog/v2 v2.130.1")
    assert released_beside("require (\n\t" + "\n\t".join(stated) + "\n)\n") == ["k8s.io/api"]
