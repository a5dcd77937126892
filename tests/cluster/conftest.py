"""The running cluster, for tests marked ``cluster``; those that are not need none."""

from collections.abc import Generator, Iterator

import pytest

from tests.cluster import diagnosis
from tests.cluster.client import Cluster
from tests.cluster.load import more_answers
from tests.live.load import Load
from tools.cluster.kubernetes import kubectl


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The cluster that `make cluster` started, with every service of the dev overlay ready."""
    found = Cluster()
    found.wait_ready()
    return found


@pytest.fixture(scope="session")
def scratch(cluster: Cluster) -> Iterator[str]:
    """A namespace of the tests' own, deleted at the end."""
    with kubectl.namespace("switchyard-tests") as name:
        yield name


@pytest.fixture
def chat_load(cluster: Cluster) -> Iterator[Load]:
    """Clients that ask ``chat-fast`` all the time; it is awake."""
    with Load(cluster, "chat-fast") as asking:
        more_answers(asking)
        yield asking


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and item.get_closest_marker("cluster"):
        report.sections += diagnosis.sections()
    return report
