"""The running cluster, for tests marked ``cluster``; those that are not need none."""

from collections.abc import Iterator

import pytest

from tests.cluster import kubectl
from tests.cluster.client import Cluster


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The cluster that `make cluster` started, with every service of the dev overlay ready."""
    found = Cluster()
    found.wait_ready()
    return found


@pytest.fixture(scope="session")
def scratch(cluster: Cluster) -> Iterator[str]:
    """A namespace of the tests' own, deleted at the end."""
    name = "switchyard-tests"
    kubectl.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}])
    yield name
    kubectl.kubectl("delete", "namespace", name, "--wait=false")
