"""What an operator would look at first, for the report of a test that failed."""

from collections.abc import Callable

from tools.cluster.kubernetes.kubectl import Document, get, kubectl
from tools.cluster.machine.shell import ClusterError

_OURS = "switchyard"  # what the names of the overlay's and the tests' namespaces begin with
_EVENTS = 30
_LINES = "20"
_PATIENCE_SECONDS = 20


def sections() -> list[tuple[str, str]]:
    """Titles and texts: every pod, the last events in our namespaces, the ends of the logs of the pods there."""
    parts: dict[str, Callable[[], str]] = {
        "kubectl get pods -A": lambda: kubectl("get", "pods", "-A", "-o", "wide", seconds=_PATIENCE_SECONDS),
        f"events in {_OURS}*": _events,
        f"logs in {_OURS}* and of pods that are not ready": _logs,
    }
    return [(title, _told(part)) for title, part in parts.items()]


def _told(part: Callable[[], str]) -> str:
    try:
        return part()
    except ClusterError as error:  # the cluster may be what is broken
        return str(error)


def _events() -> str:
    found = kubectl("get", "events", "-A", "--sort-by=.lastTimestamp", seconds=_PATIENCE_SECONDS).splitlines()
    return "\n".join([line for line in found if line.startswith(_OURS)][-_EVENTS:])


def _logs() -> str:
    return "\n".join(_tail(pod["metadata"]) for pod in get("pods", "-A")["items"] if _is_involved(pod))


def _is_involved(pod: Document) -> bool:
    conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions", ())}
    return pod["metadata"]["namespace"].startswith(_OURS) or conditions.get("Ready") != "True"


def _tail(pod: Document) -> str:
    asked = ("--namespace", pod["namespace"], "logs", pod["name"], "--all-containers", f"--tail={_LINES}")
    return f"--- {pod['namespace']}/{pod['name']}\n" + _told(lambda: kubectl(*asked, seconds=_PATIENCE_SECONDS))
