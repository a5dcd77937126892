"""Whether what an InferenceService or InferenceGraph describes answers now, sleeps, wakes or has failed.

KServe's own ``modelStatus`` is out of date at zero: its controller does not watch pods. How many replicas there are is
in the status of Knative's Revisions, which Knative keeps exact.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from switchyard.catalog import State

STOP = "serving.kserve.io/stop"

_SERVICE_LABEL = "serving.knative.dev/service"
_BLOCKED = frozenset(("BlockedByFailedLoad", "InvalidSpec"))
# False in these conditions is final until the object changes; others are False while something starts.
_TELLING = ("PredictorConfigurationReady", "TransformerConfigurationReady", "ConfigurationsReady")

Document = Mapping[str, Any]


def state_of(document: Document, workload: str, revisions: Iterable[Document]) -> State:
    """The state of an object whose requests go to the Knative Service ``workload``.

    What worked once is never ``failed``: in a cluster it wakes by being asked, so refusing to ask would keep it down.
    """
    status = document.get("status") or {}
    annotations = document["metadata"].get("annotations") or {}
    if str(annotations.get(STOP, "false")).lower() == "true":
        return State(phase="failed", reason=f"its owner stopped it by annotation {STOP}")
    own = revisions_of(workload, revisions)
    if _replicas(own, "actualReplicas"):
        return State(phase="ready")
    conditions = {one.get("type"): one for one in status.get("conditions") or ()}
    ready = (conditions.get("Ready") or {}).get("status") == "True"
    if not own:  # KServe's Standard mode, or not begun: there is nobody else to ask
        return State(phase="ready") if ready else _starting(status, conditions)
    if not ready and not any(_was_ready(revision) for revision in own):
        return _starting(status, conditions)
    return State(phase="waking" if _replicas(own, "desiredReplicas") else "asleep")


def revisions_of(workload: str, revisions: Iterable[Document]) -> list[Document]:
    """Those of the Knative Service ``workload``."""
    return [one for one in revisions if (one["metadata"].get("labels") or {}).get(_SERVICE_LABEL) == workload]


def _replicas(revisions: Iterable[Document], field: str) -> int:
    return sum((revision.get("status") or {}).get(field) or 0 for revision in revisions)


def _was_ready(revision: Document) -> bool:
    conditions = (revision.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def _starting(status: Mapping[str, Any], conditions: Mapping[str, Mapping[str, Any]]) -> State:
    """Of what never was ready: failed with a reason, or on its way."""
    model = status.get("modelStatus") or {}
    loading = (model.get("states") or {}).get("targetModelState")
    failed = [found for name in _TELLING if (found := conditions.get(name) or {}).get("status") == "False"]
    if not failed and model.get("transitionStatus") not in _BLOCKED and loading != "FailedToLoad":
        return State(phase="waking")
    # KServe tells why of its storage initializer and of containers that ended; Knative of images and of scheduling.
    reasons = (
        _sentence(one.get("reason"), one.get("message")) for one in (model.get("lastFailureInfo") or {}, *failed)
    )
    return State(phase="failed", reason=next(filter(None, reasons), "its pods do not start; look at their events"))


def _sentence(reason: str | None, message: str | None) -> str:
    return ": ".join(part.strip() for part in (reason, message) if part and part.strip())
