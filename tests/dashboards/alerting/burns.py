"""Scenarios of the alerts of SLOs: one for each window of each SLO, of the numbers that the file has."""

from collections.abc import Mapping

from dashboards.alerting.burn import SLIS, Sli, targets
from dashboards.alerting.rules import Clock
from dashboards.alerting.slos import Window, factor
from tests.dashboards.alerting.promtool import PROMISED, Counter, Gauge, Scenario

REQUESTS = 100.0  # in each step
WARM = 5
STEPS = {"5m": "15s", "1h": "1m"}  # longer windows are made of tiles of 5 minutes


def series(sli: Sli, threshold: str, good: float, below: float, bad: float) -> Mapping[str, Gauge | Counter]:
    """Return the counters of an SLO, of which some part is bad."""
    labels = f'namespace="prod",{sli.label}="one"'
    shares = {"good": good, "below": below, "bad": bad}
    well = Counter(**{phase: REQUESTS * (1 - share) for phase, share in shares.items()})
    if sli.kind == "availability":
        badly = Counter(**{phase: REQUESTS * share for phase, share in shares.items()})
        name = sli.family + "_total"
        # What clients did wrong, and those who went: neither counts.
        more = Counter(good=50, below=50, bad=50)
        others = {f'{name}{{{labels},outcome="{one}"}}': more for one in ("rejected", "cancelled")}
        return {f'{name}{{{labels},outcome="ok"}}': well, f'{name}{{{labels},outcome="failed"}}': badly} | others
    count = Counter(good=REQUESTS, below=REQUESTS, bad=REQUESTS)
    return {
        f'{sli.family}_bucket{{{labels},le="{threshold}"}}': well,
        f'{sli.family}_bucket{{{labels},le="+Inf"}}': count,
        f"{sli.family}_count{{{labels}}}": count,
    }


def scenario(sli: Sli, name: str, window: Window) -> Scenario:
    """Return the scenario of one window of an SLO."""
    objective = next(targets(PROMISED, sli)).objective
    threshold = factor(objective, name, window) * objective.budget
    step = STEPS.get(window.long, "5m")
    steps, clears = (Clock().seconds(one) / Clock().seconds(step) for one in (window.long, window.short))
    bad = min(1, 3 * threshold)
    # The good steps before are in the window too, until it is full.
    enough = min(steps, WARM * threshold / (bad - threshold))
    return Scenario(
        alert=sli.alert,
        severity=window.severity,
        window=name,
        step=step,
        warm=WARM,
        series=series(sli, objective.threshold, 0, 0.95 * threshold, bad),
        within=int(enough) + 4,
        clears=int(clears) + 2,
        records=frozenset(
            {
                "slo:requests:tile",
                "slo:bad:tile",
                f"slo:requests:{window.long}",
                f"slo:burn_rate:{window.long}",
                f"slo:burn_rate:{window.short}",
            }
        ),
    )


BURNS = [scenario(sli, name, window) for sli in SLIS for name, window in PROMISED.windows.items()]
