"""The catalog from an API server: a real client, real HTTP, and a server that fails in all the ways that they do."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from kubernetes.client import Configuration

from switchyard.catalog import CatalogError
from switchyard.cluster.api import KubernetesApi
from switchyard.cluster.source import ClusterCatalog
from tests.switchyard.cluster.api_server import NAMESPACE, ApiServer, serving
from tests.switchyard.cluster.documents import READY, graph, revision, service

SERVICES, GRAPHS, REVISIONS, STATUS = "inferenceservices", "inferencegraphs", "revisions", "configmaps"


@contextmanager
def following(port: int, ask: Callable[[str], list[str]] | None = None) -> Iterator[ClusterCatalog]:
    configuration = Configuration()
    configuration.host = f"http://127.0.0.1:{port}"
    configuration.retries = False
    source = ClusterCatalog(KubernetesApi(configuration, NAMESPACE, watch_seconds=20), ask, patience=0.5)
    source.start()
    try:
        yield source
    finally:
        source.stop()


@pytest.fixture
def server() -> ApiServer:
    found = ApiServer()
    found.put(SERVICES, service())
    found.put(GRAPHS, graph())
    return found


def names(source: ClusterCatalog) -> list[str]:
    try:
        return list(source.current().models)
    except CatalogError:
        return []


def phase(source: ClusterCatalog, name: str = "chat") -> str:
    model = source.current().get(name)
    return model.state.phase if model else ""


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def test_the_catalog_follows_what_is_created_changed_and_deleted(server: ApiServer) -> None:
    with serving(server) as port, following(port) as source:
        until(lambda: names(source) == ["chat", "auto"])
        server.put(SERVICES, service("embed", "embedding"))
        until(lambda: names(source) == ["chat", "embed", "auto"])
        server.put(SERVICES, service("chat", status=READY))
        server.put(REVISIONS, revision("chat-predictor", actual=0, desired=0))
        until(lambda: phase(source) == "asleep")
        server.put(REVISIONS, revision("chat-predictor", actual=0, desired=1))
        until(lambda: phase(source) == "waking")
        server.put(REVISIONS, revision("chat-predictor", actual=1, desired=1))
        until(lambda: phase(source) == "ready")
        server.delete(SERVICES, "embed")
        until(lambda: names(source) == ["chat", "auto"])
        assert sorted(server.lists) == sorted([SERVICES, GRAPHS, REVISIONS, STATUS])  # changes alone, no second look


def test_nothing_is_served_before_everything_was_listed(server: ApiServer) -> None:
    server.rejection = 503
    with serving(server) as port, following(port) as source:
        with pytest.raises(CatalogError, match=r"has not listed inferenceservices.serving.kserve.io"):
            source.current()
        server.rejection = None
        until(lambda: names(source) == ["chat", "auto"])


def test_a_version_that_is_too_old_makes_the_informer_list_again(server: ApiServer) -> None:
    with serving(server) as port, following(port) as source:
        server.until_watched(SERVICES)
        server.forget_history()
        server.put(SERVICES, service("late"))
        until(lambda: names(source) == ["chat", "late", "auto"])
        assert server.lists.count(SERVICES) == 2


def test_a_broken_stream_goes_on_where_it_was(server: ApiServer) -> None:
    with serving(server) as port, following(port) as source:
        server.until_watched(SERVICES)
        server.break_streams()
        server.put(SERVICES, service("late"))
        until(lambda: "late" in names(source))
        assert server.lists.count(SERVICES) == 1


def test_a_bookmark_moves_on_where_a_watch_begins_again(server: ApiServer) -> None:
    with serving(server) as port, following(port) as source:
        server.until_watched(GRAPHS)
        server.put(SERVICES, service("late"))  # the counter moves on for all resources
        until(lambda: "late" in names(source))
        server.bookmark(GRAPHS)
        server.put(GRAPHS, graph("after-the-bookmark"))
        until(lambda: "after-the-bookmark" in names(source))
        server.break_streams()
        server.until_watched(GRAPHS, times=2)
        first, second = (version for plural, version in server.watches if plural == GRAPHS)
        assert second >= first + 3
        assert server.lists.count(GRAPHS) == 1


@pytest.mark.parametrize("how", ["rejects", "answers nonsense"])
def test_the_last_catalog_stays_while_the_server_is_away(
    server: ApiServer, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    with serving(server) as port, following(port) as source:
        for plural in (SERVICES, GRAPHS, REVISIONS):
            server.until_watched(plural)
        server.rejection, server.garbage = (500, False) if how == "rejects" else (None, True)
        server.break_streams()
        until(lambda: len(caplog.records) >= 3)
        assert names(source) == ["chat", "auto"]
        server.rejection, server.garbage = None, False
        server.put(SERVICES, service("late"))
        until(lambda: "late" in names(source))


def test_a_server_that_ended_is_followed_again_when_it_is_back(server: ApiServer) -> None:
    with serving(server) as port:
        manager = following(port)
        source = manager.__enter__()
        until(lambda: names(source) == ["chat", "auto"])
    assert names(source) == ["chat", "auto"]
    server.put(SERVICES, service("late"))
    with serving(server, port):
        until(lambda: "late" in names(source))
        manager.__exit__(None, None, None)


def test_a_server_that_counts_versions_anew_is_listed_again(server: ApiServer) -> None:
    with serving(server) as port, following(port) as source:
        for plural in (SERVICES, GRAPHS, REVISIONS):
            server.until_watched(plural)
        server.restore(SERVICES, service("old"))
        until(lambda: names(source) == ["old"])


def test_revisions_that_are_not_served_for_a_moment_stay_as_they_were(server: ApiServer) -> None:
    server.put(SERVICES, service("chat", status=READY))
    server.put(REVISIONS, revision("chat-predictor", actual=0, desired=0))
    with serving(server) as port, following(port) as source:
        until(lambda: names(source) == ["chat", "auto"])
        for plural in (SERVICES, REVISIONS):
            server.until_watched(plural)
        server.absent.add(REVISIONS)
        server.break_streams()
        server.put(SERVICES, service("late"))
        until(lambda: "late" in names(source))
        assert phase(source) == "asleep"
        server.absent.clear()
        server.put(REVISIONS, revision("chat-predictor", actual=1, desired=1))
        until(lambda: phase(source) == "ready")


def test_a_cluster_without_knative_has_services_all_the_same(server: ApiServer) -> None:
    server.absent.add(REVISIONS)
    server.put(SERVICES, service("chat", status=READY))
    with serving(server) as port, following(port) as source:
        until(lambda: names(source) == ["chat", "auto"])
        assert phase(source) == "ready"


def test_a_repository_is_asked_once_each_time_that_it_wakes(server: ApiServer) -> None:
    asked: list[str] = []
    answer = threading.Event()

    def ask(url: str) -> list[str]:
        asked.append(url)
        assert answer.wait(20)
        return ["ocr", "fresh"]

    server.put(SERVICES, service("vision", "vision", status=READY, models="ocr"))
    server.put(REVISIONS, revision("vision-predictor", actual=0, desired=0))
    with serving(server) as port, following(port, ask) as source:
        until(lambda: names(source) == ["chat", "ocr", "auto"])
        assert not asked
        server.put(REVISIONS, revision("vision-predictor", actual=1, desired=1))
        until(lambda: bool(asked) and phase(source, "ocr") == "ready")
        answer.set()
        until(lambda: names(source) == ["chat", "fresh", "ocr", "auto"])
        server.put(REVISIONS, revision("vision-predictor", actual=2, desired=2))
        until(lambda: phase(source, "fresh") == "ready")
        server.put(REVISIONS, revision("vision-predictor", actual=0, desired=0))
        until(lambda: phase(source, "fresh") == "asleep")  # still listed by what it said
        assert asked == ["http://vision-predictor.lab.svc.cluster.local"]


def test_an_object_that_describes_no_model_is_reported_once(
    server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.put(SERVICES, service("odd", "toy"))
    with serving(server) as port, following(port) as source:
        until(lambda: names(source) == ["chat", "auto"])
        server.put(SERVICES, service("late"))
        until(lambda: "late" in names(source))
    told = [record for record in caplog.records if record.message == "not in the catalog"]
    assert len(told) == 1


def test_an_object_that_breaks_the_catalog_does_not_end_following_the_others(
    server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(server) as port, following(port) as source:
        for plural in (SERVICES, GRAPHS, REVISIONS):
            server.until_watched(plural)
        server.put(GRAPHS, {"metadata": {"name": "broken", "labels": {"switchyard.dev/kind": "llm"}}})
        until(lambda: any(record.exc_info for record in caplog.records))
        assert names(source) == ["chat", "auto"]
        server.delete(GRAPHS, "broken")
        until(lambda: server.lists.count(GRAPHS) == 2)
        server.put(GRAPHS, graph("late"))
        until(lambda: "late" in names(source))


def test_a_service_account_that_may_not_list_is_told_what_it_lacks(
    server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.rejection = 403
    with serving(server) as port, following(port):
        until(lambda: bool(caplog.records))
    assert "allow this service account to get, list and watch" in caplog.records[0].__dict__["reason"]
