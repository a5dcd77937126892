"""Every alert was seen to fire for real, or there is a reason why it cannot be made to on one machine."""

import ast
from pathlib import Path

from tests.dashboards.alerting.promtool import ALERTS

FIRE = Path(__file__).parents[2] / "live" / "observability" / "fire"
_GPU = "needs a GPU, and one that is broken, hot, full or idle for long"
_KNATIVE = "is about metrics of Knative, which runs in a cluster alone"
GIVEN = {"muted", "maybe"}  # lists of alerts, of the arguments of `wait_for`
NOT_ON_ONE_MACHINE = {
    "GpuXid": _GPU,
    "GpuMemoryFull": _GPU,
    "GpuHot": _GPU,
    "GpuIdle": _GPU,
    "KnativeStuckScaleUp": _KNATIVE,
    "KnativePanicLong": _KNATIVE,
    "KnativeAtMaxScale": _KNATIVE,
    "ActivatorUnreachable": _KNATIVE,
    "NodepoolLimit": "is about Karpenter's, which buys nodes of a cloud",
}


def fired() -> set[str]:
    """Return the alerts that the tests of ``fire`` wait for: what they give to ``wait_for``, muted ones too."""
    found = set[str]()
    for path in FIRE.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "wait_for":
                given = [*node.args, *(one.value for one in node.keywords if one.arg in GIVEN)]
                words = [word.value for one in given for word in ast.walk(one) if isinstance(word, ast.Constant)]
                found |= {word for word in words if isinstance(word, str)}
    return found


def test_every_alert_fires_for_real_or_has_a_reason_not_to() -> None:
    assert fired() | NOT_ON_ONE_MACHINE.keys() == {alert.name for alert in ALERTS}
    assert fired() & NOT_ON_ONE_MACHINE.keys() == set()
