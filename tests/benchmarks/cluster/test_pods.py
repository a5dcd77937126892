import json

from benchmarks.cluster.pods import Sighting, documents, now


def test_documents_one_after_the_other_are_told_apart_and_stamped() -> None:
    printed = "".join(json.dumps({"metadata": {"name": name}, "text": "}\n}"}, indent=4) + "\n" for name in "ab")

    began = now()
    found = list(documents(iter(printed.splitlines(keepends=True))))

    assert [document["metadata"]["name"] for _, document in found] == ["a", "b"]
    assert all(began <= at <= now() for at, _ in found)


def test_a_pod_is_scheduled_once_it_has_a_node_and_ready_once_that_condition_holds() -> None:
    conditions = [{"type": "Ready", "status": "True"}]

    assert not Sighting(0.0, {"spec": {}, "status": {}}).scheduled
    assert Sighting(0.0, {"spec": {"nodeName": "node"}, "status": {}}).scheduled
    assert not Sighting(0.0, {"spec": {}, "status": {"conditions": [{"type": "Initialized", "status": "True"}]}}).ready
    assert Sighting(0.0, {"spec": {}, "status": {"conditions": conditions}}).ready
