"""Which state an object's status and its revisions tell."""

import pytest

from switchyard.catalog import State
from switchyard.cluster.states import newest_failure, served_revisions, state_of
from tests.switchyard.cluster.documents import NOT_READY, READY, Document, conditions, revision, service

WORKLOAD = "chat-predictor"


def state(status: Document, *revisions: Document) -> State:
    return state_of(service(status=status), WORKLOAD, revisions)


@pytest.mark.parametrize(
    ("actual", "desired", "phase"),
    [(1, 1, "ready"), (2, 0, "ready"), (0, 1, "waking"), (None, 1, "waking"), (0, 0, "asleep"), (None, None, "asleep")],
)
def test_replicas_tell_what_a_service_that_worked_does(actual: int | None, desired: int | None, phase: str) -> None:
    assert state(READY, revision(WORKLOAD, actual=actual, desired=desired)).phase == phase


def test_replicas_of_other_services_do_not_count() -> None:
    assert (
        state(READY, revision("other-predictor", actual=3), revision(WORKLOAD, actual=0, desired=0)).phase == "asleep"
    )


def test_a_canary_that_fails_leaves_a_service_as_its_older_revision_is() -> None:
    failed = {**NOT_READY, "modelStatus": {"transitionStatus": "BlockedByFailedLoad"}}
    older, newer = revision(WORKLOAD, actual=0, desired=0), revision(WORKLOAD, ready="False")
    assert state(failed, older, newer).phase == "asleep"


def test_what_was_just_created_is_waking() -> None:
    assert state({}).phase == "waking"
    assert state({"conditions": conditions(Ready="Unknown")}, revision(WORKLOAD, ready="Unknown")).phase == "waking"


def test_what_was_never_ready_and_cannot_load_has_failed_with_the_reason() -> None:
    info = {"reason": "ModelLoadFailed", "message": "no weights in /mnt/models\n"}
    status = {**NOT_READY, "modelStatus": {"states": {"targetModelState": "FailedToLoad"}, "lastFailureInfo": info}}
    expected = State(phase="failed", reason="ModelLoadFailed: no weights in /mnt/models")
    assert state(status, revision(WORKLOAD, ready="False")) == expected
    assert state(status) == expected


def test_a_revision_that_never_came_up_has_failed_with_its_message() -> None:
    condition = {"type": "PredictorConfigurationReady", "status": "False", "reason": "RevisionFailed", "message": "OOM"}
    status = {"conditions": [*conditions(Ready="False"), condition]}
    assert state(status, revision(WORKLOAD, ready="False")) == State(phase="failed", reason="RevisionFailed: OOM")


def test_an_image_that_is_not_found_is_the_reason_though_kserve_gives_none() -> None:
    condition = {"type": "PredictorConfigurationReady", "status": "False", "message": "Unable to fetch image"}
    model = {"transitionStatus": "BlockedByFailedLoad", "states": {"targetModelState": "FailedToLoad"}}
    status = {"conditions": [*conditions(Ready="False"), condition], "modelStatus": model}
    assert state(status, revision(WORKLOAD, ready="False")).reason == "Unable to fetch image"
    assert "events" in state({**NOT_READY, "modelStatus": model}).reason


def test_without_knative_the_condition_tells() -> None:
    assert state(READY).phase == "ready"
    assert state(NOT_READY).phase == "waking"


def test_a_stopped_service_says_that_its_owner_stopped_it() -> None:
    stopped = service(status=READY)
    stopped["metadata"]["annotations"]["serving.kserve.io/stop"] = "true"
    found = state_of(stopped, WORKLOAD, [revision(WORKLOAD, actual=1)])
    assert (found.phase, "stopped" in found.reason) == ("failed", True)


def failure_of(newest: Document, *, served: str = "chat-1", **model: object) -> str:
    components = {"predictor": {"latestCreatedRevision": "chat-2", "latestReadyRevision": served}}
    older = revision(WORKLOAD, actual=1)
    older["metadata"]["name"], newest["metadata"]["name"] = "chat-1", "chat-2"
    return newest_failure(service(status={"components": components, "modelStatus": model}), [older, newest])


def failed(**said: str) -> Document:
    found = revision(WORKLOAD, ready="False")
    found["status"]["conditions"][0] |= said
    return found


def test_a_newest_revision_that_failed_beside_one_that_serves_has_its_reason() -> None:
    exited = {"reason": "ExitCode1", "message": "Container failed with: no tokenizer"}
    assert failure_of(failed(**exited)) == "ExitCode1: Container failed with: no tokenizer"
    assert "events" in failure_of(failed())
    info = {"reason": "ModelLoadFailed", "message": "no weights"}
    blocked = failure_of(failed(**exited), transitionStatus="BlockedByFailedLoad", lastFailureInfo=info)
    assert blocked == "ModelLoadFailed: no weights"
    # What KServe said of an earlier one is over.
    assert failure_of(failed(**exited), transitionStatus="UpToDate", lastFailureInfo=info).startswith("ExitCode1")


def test_a_newest_revision_that_starts_or_serves_or_is_the_only_one_is_no_failure() -> None:
    assert failure_of(revision(WORKLOAD, ready="Unknown")) == ""
    assert failure_of(failed(), served="chat-2") == ""  # it was ready, and its pods end now
    assert failure_of(failed(), served="") == ""
    assert newest_failure(service(status=READY), [failed()]) == ""


@pytest.mark.parametrize(
    ("component", "served"),
    [
        ({"latestReadyRevision": "chat-predictor-00001"}, ["chat-predictor-00001"]),
        (
            {
                "latestReadyRevision": "chat-predictor-00002",
                "traffic": [
                    {"revisionName": "chat-predictor-00002", "percent": 10, "latestRevision": True},
                    {"revisionName": "chat-predictor-00001", "percent": 90, "tag": "prev"},
                    {"revisionName": "chat-predictor-00000", "percent": 0},
                ],
            },
            ["chat-predictor-00001", "chat-predictor-00002"],
        ),
        ({}, []),
    ],
)
def test_the_revisions_that_serve_are_those_with_traffic(component: Document, served: list[str]) -> None:
    assert served_revisions(service(status={"components": {"predictor": component}})) == served
