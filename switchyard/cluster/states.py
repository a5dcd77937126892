"""Whether an InferenceService or InferenceGraph is ready, asleep, waking or failed.

KServe's own ``modelStatus`` is out of date at zero replicas, because its controller does not watch pods. The number
of replicas is in the status of Knative's Revisions, which Knative keeps exact.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from switchyard.catalog import State

STOP = "serving.kserve.io/stop"

_SERVICE_LABEL = "serving.knative.dev/service"
_BLOCKED = frozenset(("BlockedByFailedLoad", "InvalidSpec"))
# False in these conditions is final until the object changes; others are also False during a start.
_FATAL_CONDITIONS = ("PredictorConfigurationReady", "TransformerConfigurationReady", "ConfigurationsReady")
_UNTOLD = "its pods do not start; look at their events"

Document = Mapping[str, Any]


def state_of(document: Document, workload: str, revisions: Iterable[Document]) -> State:
    """Return the state of an object whose requests go to the Knative Service ``workload``.

    An object that was ready once is never ``failed``: in a cluster a request wakes it, so rejecting requests would keep
    it down.
    """
    status = document.get("status") or {}
    annotations = document["metadata"].get("annotations") or {}
    if str(annotations.get(STOP, "false")).lower() == "true":
        return State(phase="failed", reason=f"its owner stopped it by annotation {STOP}")
    own = revisions_of(workload, revisions)
    if _replicas(own, "actualReplicas"):
        return State(phase="ready")
    conditions = {condition.get("type"): condition for condition in status.get("conditions") or ()}
    ready = (conditions.get("Ready") or {}).get("status") == "True"
    if not own:  # KServe's Standard mode, or not started yet: only KServe's conditions exist
        return State(phase="ready") if ready else _starting(status, conditions)
    if not ready and not any(_was_ready(revision) for revision in own):
        return _starting(status, conditions)
    return State(phase="waking" if _replicas(own, "desiredReplicas") else "asleep")


def newest_failure(document: Document, revisions: Iterable[Document]) -> str:
    """Return why the newest revision of an InferenceService's predictor failed, where an earlier one has the requests.

    Empty where the newest is ready, starts, or there is no earlier one. Knative leaves requests with
    ``latestReadyRevision``; a revision whose pods did not come up in time, or end again and again, is not ready.
    """
    status = document.get("status") or {}
    predictor = (status.get("components") or {}).get("predictor") or {}
    newest, served = predictor.get("latestCreatedRevision"), predictor.get("latestReadyRevision")
    if not served or newest == served:
        return ""
    failed = next((_ready_condition(one) for one in revisions if one["metadata"]["name"] == newest), {})
    if failed.get("status") != "False":
        return ""
    model = status.get("modelStatus") or {}
    told = (model.get("lastFailureInfo") if model.get("transitionStatus") in _BLOCKED else None) or {}
    reasons = (_sentence(item.get("reason"), item.get("message")) for item in (told, failed))
    return next(filter(None, reasons), _UNTOLD)


def served_revisions(document: Document) -> list[str]:
    """Return the names of the Revisions that an object's requests go to, of a canary's rollout two."""
    names: set[str] = set()
    for component in ((document.get("status") or {}).get("components") or {}).values():
        targets = [target for target in component.get("traffic") or () if target.get("percent") != 0]
        named = [target.get("revisionName") for target in targets] or [component.get("latestReadyRevision")]
        names.update(name for name in named if name)
    return sorted(names)


def revisions_of(workload: str, revisions: Iterable[Document]) -> list[Document]:
    """Return the Revisions of the Knative Service ``workload``."""
    return [
        revision for revision in revisions if (revision["metadata"].get("labels") or {}).get(_SERVICE_LABEL) == workload
    ]


def replicas_of(workload: str, revisions: Iterable[Document]) -> int:
    """Return how many replicas the Knative Service ``workload`` has."""
    return _replicas(revisions_of(workload, revisions), "actualReplicas")


def existing_replicas(workload: str, revisions: Iterable[Document]) -> int | None:
    """Return how many replicas of the Knative Service ``workload`` exist, starting ones too; None without Knative."""
    own = revisions_of(workload, revisions)
    if not own:
        return None
    return sum(max(_replicas([one], "actualReplicas"), _replicas([one], "desiredReplicas")) for one in own)


def _replicas(revisions: Iterable[Document], field: str) -> int:
    return sum((revision.get("status") or {}).get(field) or 0 for revision in revisions)


def _was_ready(revision: Document) -> bool:
    return _ready_condition(revision).get("status") == "True"


def _ready_condition(revision: Document) -> Mapping[str, Any]:
    conditions = (revision.get("status") or {}).get("conditions") or ()
    return next((item for item in conditions if item.get("type") == "Ready"), {})


def _starting(status: Mapping[str, Any], conditions: Mapping[str, Mapping[str, Any]]) -> State:
    """Return the state of an object that was never ready: failed with a reason, or waking."""
    model = status.get("modelStatus") or {}
    loading = (model.get("states") or {}).get("targetModelState")
    failed = [found for name in _FATAL_CONDITIONS if (found := conditions.get(name) or {}).get("status") == "False"]
    if not failed and model.get("transitionStatus") not in _BLOCKED and loading != "FailedToLoad":
        return State(phase="waking")
    # KServe reports failures of its storage initializer and of containers; Knative those of images and scheduling.
    reasons = (
        _sentence(item.get("reason"), item.get("message")) for item in (model.get("lastFailureInfo") or {}, *failed)
    )
    return State(phase="failed", reason=next(filter(None, reasons), _UNTOLD))


def _sentence(reason: str | None, message: str | None) -> str:
    return ": ".join(part.strip() for part in (reason, message) if part and part.strip())
