"""The catalog that documents describe."""

from itertools import permutations

import pytest

from switchyard.catalog import OLD_SERVED, State
from switchyard.cluster.objects import PUBLISHED_CLAIM, catalog_of
from switchyard.repository.names import taken
from tests.switchyard.cluster.documents import NOT_READY, READY, Document, graph, revision, service


def test_services_and_graphs_are_listed_under_their_cluster_addresses() -> None:
    found = catalog_of([service(context_length="2048", chat_inputs="text,image")], [graph()], [], {}).models
    assert {name: model.url for name, model in found.items()} == {
        "chat": "http://chat-predictor.lab.svc.cluster.local",
        "auto": "http://auto.lab.svc.cluster.local",
    }
    assert (found["chat"].context_length, found["chat"].accepts_images, found["auto"].kind) == (2048, True, "graph")


def test_a_transformer_answers_for_its_service() -> None:
    document = service(status=READY)
    document["spec"]["transformer"] = {"containers": []}
    revisions = [revision("chat-transformer", actual=0, desired=0), revision("chat-predictor", actual=1)]
    model = catalog_of([document], [], revisions, {}).models["chat"]
    assert (model.url, model.state.phase) == ("http://chat-transformer.lab.svc.cluster.local", "asleep")


def test_pods_that_take_http_2_take_grpc_at_the_same_address() -> None:
    revisions = [
        revision("chat-predictor", port="h2c"),
        revision("old-predictor"),
        revision("older-predictor", port="http1"),
    ]
    found = catalog_of([service(), service("old"), service("older"), service("new")], [], revisions, {}).models
    assert {name: model.grpc for name, model in found.items()} == {
        "chat": "chat-predictor.lab.svc.cluster.local:80",
        "old": "",
        "older": "",
        "new": "",
    }


def test_a_service_has_the_places_of_its_replicas_and_a_sleeping_one_those_of_one() -> None:
    chat = service()
    chat["spec"]["predictor"]["containerConcurrency"] = 16
    old, new = (revision("chat-predictor", actual=actual) for actual in (2, 1))
    places = [catalog_of([chat], [], revisions, {}).models["chat"].concurrency for revisions in ([], [old], [old, new])]
    assert places == [16, 32, 48]
    assert catalog_of([service()], [graph()], [old], {}).models["chat"].concurrency is None


def test_a_service_has_as_many_replicas_as_exist_those_that_start_included_and_a_graph_none_that_count() -> None:
    def replicas(*revisions: Document) -> dict[str, int | None]:
        models = catalog_of([service(), service("vision", "vision", models="ocr")], [graph()], [*revisions], {}).models
        return {name: model.replicas for name, model in models.items() if model.kind != "vision"}

    assert replicas() == {"chat": None, "auto": None}  # KServe's Standard mode: nobody says
    assert replicas(revision("chat-predictor", actual=0, desired=0))["chat"] == 0
    assert replicas(revision("chat-predictor", actual=1, desired=3))["chat"] == 3
    both = revision("chat-predictor", actual=2, desired=0), revision("chat-predictor", actual=0, desired=1)
    assert replicas(*both, revision("auto", actual=1)) == {"chat": 3, "auto": None}


def test_steps_and_what_is_being_deleted_are_not_listed() -> None:
    going = service("old")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert not catalog_of([service("complexity", "step"), going], [], [], {}).models


def test_an_object_of_somebody_else_hides_no_other() -> None:
    foreign = service("theirs")
    foreign["metadata"]["labels"] = {}
    rejected: list[str] = []
    assert list(catalog_of([foreign, service()], [], [], {}, rejected.append).models) == ["chat"]
    assert ["label switchyard.dev/kind is None" in reason for reason in rejected] == [True]


def test_a_repository_is_listed_by_its_models() -> None:
    vision = service("vision", "vision", status=READY, models="ocr, ocr-direction")
    revisions = [revision("vision-predictor", actual=1)]
    found = catalog_of([vision], [], revisions, {}).models
    assert list(found) == ["ocr", "ocr-direction"]
    assert {(model.kind, model.url, model.state.phase) for model in found.values()} == {
        ("vision", "http://vision-predictor.lab.svc.cluster.local", "ready")
    }


def test_what_a_repository_said_counts_more_than_its_annotation() -> None:
    vision = service("vision", "vision", models="ocr")
    assert list(catalog_of([vision], [], [], {"vision": ["b", "a"]}).models) == ["a", "b"]


def made(document: Document, year: int) -> Document:
    document["metadata"]["creationTimestamp"] = f"{year}-01-01T00:00:00Z"
    return document


def test_a_repository_takes_no_name_that_an_object_has() -> None:
    vision = made(service("a-vision", "vision", models="auto,chat,ocr"), 2024)
    for services in permutations([made(service("chat"), 2025), vision]):
        told: list[str] = []
        found = catalog_of(services, [graph()], [], {}, told.append).models
        assert {name: model.kind for name, model in found.items()} == {
            "chat": "llm",
            "auto": "graph",
            "ocr": "vision",
            "a-vision/auto": "vision",
            "a-vision/chat": "vision",
        }
        assert found["chat"].url == "http://chat-predictor.lab.svc.cluster.local"
        lost = found["a-vision/chat"].state
        assert lost == State(phase="failed", reason=taken("chat", "InferenceService chat"))
        assert found["a-vision/auto"].state.reason == taken("auto", "InferenceGraph auto")
        assert lost.reason in told
        assert len(told) == 2


def test_of_two_repositories_the_older_one_keeps_a_name_and_names_given_twice_are_one() -> None:
    young = made(service("a-vision", "vision", models="ocr,ocr"), 2025)
    old = made(service("vision", "vision", models="ocr,ocr"), 2024)
    found = catalog_of([young, old], [], [], {}).models
    assert {name: model.url.partition(".")[0] for name, model in found.items()} == {
        "ocr": "http://vision-predictor",
        "a-vision/ocr": "http://a-vision-predictor",
    }
    assert found["ocr"].state.phase != "failed"


def test_of_a_service_and_a_graph_of_one_name_the_older_one_keeps_it() -> None:
    found = catalog_of([made(service("chat"), 2025)], [made(graph("chat"), 2024)], [], {}).models
    assert {name: model.kind for name, model in found.items()} == {"chat": "graph", "chat/chat": "llm"}


@pytest.mark.parametrize(
    ("storage", "words"),
    [(f"pvc://{PUBLISHED_CLAIM}/.objects/llm/chat/1", OLD_SERVED), ("s3://models/chat", "its newest revision")],
)
def test_what_serves_by_an_earlier_revision_tells_why_the_newest_does_not(storage: str, words: str) -> None:
    newest, older = revision("chat-predictor", ready="False"), revision("chat-predictor", actual=1)
    newest["metadata"]["name"] = "chat-predictor-00002"
    newest["status"]["conditions"][0]["message"] = "no tokenizer"
    names = {"latestCreatedRevision": "chat-predictor-00002", "latestReadyRevision": "chat-predictor-00001"}
    chat = service("chat", status={**NOT_READY, "components": {"predictor": names}})
    chat["spec"]["predictor"]["model"]["storageUri"] = storage
    model = catalog_of([chat], [], [older, newest], {}).models["chat"]
    assert (model.state.phase, model.notice.startswith(words)) == ("ready", True)
    assert model.notice.endswith("is not served: no tokenizer")
