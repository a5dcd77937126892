"""The catalog that documents describe."""

from switchyard.cluster.objects import catalog_of
from tests.switchyard.cluster.documents import READY, graph, revision, service


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


def test_steps_and_what_is_being_deleted_are_not_listed() -> None:
    going = service("old")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert not catalog_of([service("complexity", "step"), going], [], [], {}).models


def test_an_object_of_somebody_else_hides_no_other() -> None:
    foreign = service("theirs")
    foreign["metadata"]["labels"] = {}
    refused: list[str] = []
    assert list(catalog_of([foreign, service()], [], [], {}, refused.append).models) == ["chat"]
    assert ["label switchyard.dev/kind is None" in reason for reason in refused] == [True]


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


def test_one_name_is_served_by_the_first_that_has_it() -> None:
    found = catalog_of([service("chat"), service("vision", "vision", models="chat")], [], [], {}).models
    assert found["chat"].kind == "llm"
