"""What a runbook has an operator type runs against a real cluster, and says so by its exit status."""

import shlex
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.cluster.client import Cluster
from tests.dashboards.runbooks import cluster_commands
from tools.cluster.kubernetes import kubectl, metrics_server
from tools.cluster.machine.shell import ClusterError, eventually

pytestmark = pytest.mark.cluster

SECONDS = 60  # a pod may come or go just then, and what it uses is measured every ten seconds
AT_ONCE = 4
# What else an operator may read: that a container never restarted, or that a part of the platform is not installed.
ALSO_READ = {
    " --previous ": "previous terminated container",
    " get certificates.cert-manager.io": "doesn't have a resource type",
    " get nodepools": "doesn't have a resource type",
}


@pytest.fixture
def measured(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster with metrics-server, which `kubectl top` asks, and with a model awake."""
    metrics_server.up()
    try:
        assert cluster.chat("chat-fast").text
        yield cluster
    finally:
        metrics_server.down()


def also_read(command: str, error: ClusterError) -> bool:
    return any(words in command and said in str(error) for words, said in ALSO_READ.items())


def failure_of(command: str) -> str:
    """Run ``command`` until it succeeds; return what it says if it does not, empty if all is well."""
    program, *arguments = shlex.split(command)
    assert program == "kubectl"

    def runs() -> bool:
        try:
            kubectl.kubectl(*arguments, seconds=SECONDS)
        except ClusterError as error:
            if not also_read(command, error):
                raise
        return True

    try:
        eventually(command, runs, SECONDS, every=1)
    except ClusterError as error:
        return str(error)
    return ""


def test_every_command_of_a_runbook_for_a_cluster_runs(measured: Cluster) -> None:
    commands = list(cluster_commands())
    with ThreadPoolExecutor(AT_ONCE) as pool:
        said = dict(zip(commands, pool.map(failure_of, commands), strict=True))

    assert {command: text for command, text in said.items() if text} == {}
