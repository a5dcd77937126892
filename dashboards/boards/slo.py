"""The first board to open: are objectives met, how much error budget is left, how fast is it used.

What is promised stands in ``dashboards/slos.yaml``, and ``dashboards/rules/slo.yaml`` records how it is kept.
"""

from dataclasses import dataclass

from dashboards import panels
from dashboards.panels import Board, Panel, Query, Row
from dashboards.promql import MODEL, NAMESPACE, TENANT, quantile, rate, ratio, select, total


@dataclass(frozen=True, slots=True, kw_only=True)
class _Objective:
    """What is promised of each ``label``, a model or a tenant; ``slo`` is its name in recorded series."""

    name: str
    slo: str
    label: str
    alert: str
    promise: str

    def recorded(self, series: str) -> str:
        """Return what rules recorded of the models or tenants that were chosen."""
        return select(series, f'slo="{self.slo}", {MODEL if self.label == "model" else TENANT}')

    def over_time(self, series: str) -> str:
        """Return the sum of ``series``, which counts requests of five minutes, over the time shown."""
        return total(f"sum_over_time({self.recorded(series)}[$__range])", self.label)

    @property
    def legend(self) -> str:
        return f"{{{{{self.label}}}}}"

    @property
    def width(self) -> int:
        return 8 if self.label == "model" else 12

    @property
    def boards(self) -> tuple[str, ...]:
        return ("switchyard-models" if self.label == "model" else "switchyard-tenants",)


_OBJECTIVES = (
    _Objective(
        name="availability of models",
        slo="model-availability",
        label="model",
        alert="ModelAvailabilityBurn",
        promise="Requests do not fail; what clients cancel, or is rejected as theirs to mend, does not count.",
    ),
    _Objective(
        name="first token of models",
        slo="model-first-token",
        label="model",
        alert="ModelFirstTokenBurn",
        promise="Streams begin in time, waiting and waking included.",
    ),
    _Objective(
        name="time between tokens",
        slo="model-inter-token",
        label="model",
        alert="ModelInterTokenBurn",
        promise="Streams go on as fast as people read.",
    ),
    _Objective(
        name="availability for tenants",
        slo="tenant-availability",
        label="tenant",
        alert="TenantAvailabilityBurn",
        promise="Requests of a tenant do not fail, whichever model they are for.",
    ),
    _Objective(
        name="first token for tenants",
        slo="tenant-first-token",
        label="tenant",
        alert="TenantFirstTokenBurn",
        promise="Responses to a tenant begin in time, waiting and waking included.",
    ),
)


def _attained(objective: _Objective) -> Panel:
    good = f"1 - {ratio(objective.over_time('slo:bad:tile'), objective.over_time('slo:requests:tile'))}"
    return Panel(
        title=f"Attained: {objective.name}",
        text=f"{objective.promise} Part of the requests in the time shown of which that is true.",
        unit="percentunit",
        queries=(Query(good, objective.legend),),
        kind="stat",
        width=objective.width,
        height=5,
        boards=objective.boards,
        alerts=(objective.alert,),
    )


def _budget_left(objective: _Objective) -> Panel:
    return Panel(
        title=f"Budget left: {objective.name}",
        text="Part of the error budget of 30 days that is left; below 0 the objective is missed.",
        unit="percentunit",
        queries=(Query(f"min by ({objective.label}) ({objective.recorded('slo:budget_left:30d')})", objective.legend),),
        kind="stat",
        width=objective.width,
        height=5,
        floors=(0.0, 0.25),
        boards=objective.boards,
        alerts=(objective.alert,),
    )


def _burn(objective: _Objective) -> Panel:
    return Panel(
        title=f"Burn rate: {objective.name}",
        text=(
            "How many times faster than allowed the budget is used: at 1 it lasts 30 days, at 14.4 for an hour "
            "somebody is paged."
        ),
        unit="suffix:x",
        queries=tuple(
            Query(
                f"max by ({objective.label}) ({objective.recorded(f'slo:burn_rate:{window}')})",
                f"{objective.legend} {window}",
            )
            for window in ("5m", "1h", "6h")
        ),
        width=objective.width,
        limits=(6.0, 14.4),
        boards=objective.boards,
        alerts=(objective.alert,),
    )


_TRAFFIC = Row(
    title="Traffic",
    panels=(
        Panel(
            title="Requests by outcome",
            text=(
                "Requests each second: ok, rejected (the caller's fault or limit), failed (ours), cancelled (the "
                "client left)."
            ),
            unit="reqps",
            queries=(Query(rate("gateway_model_requests_total", MODEL, by=("outcome",)), "{{outcome}}"),),
            stacked=True,
            boards=("switchyard-models",),
        ),
        Panel(
            title="Failed requests by code",
            text="Which statuses failed requests ended with.",
            unit="reqps",
            queries=(
                Query(
                    rate("gateway_requests_total", f'{MODEL}, outcome="failed"', by=("model", "code")),
                    "{{model}} {{code}}",
                ),
            ),
            stacked=True,
            boards=("switchyard-models", "switchyard-health"),
            alerts=("ModelAvailabilityBurn",),
        ),
        Panel(
            title="Time to first byte",
            text="As clients see it: waiting, waking and routing included.",
            unit="s",
            queries=tuple(
                Query(quantile(part, "gateway_first_token_seconds", MODEL), f"p{part * 100:.0f}", exemplars=True)
                for part in (0.5, 0.95, 0.99)
            ),
            boards=("switchyard-scaling", "switchyard-models"),
            alerts=("ModelFirstTokenBurn",),
        ),
        Panel(
            title="Time per output token",
            text="Of streamed responses, from the first byte to the last.",
            unit="s",
            queries=(
                Query(quantile(0.95, "gateway_time_per_output_token_seconds", MODEL, by=("model",)), "p95 {{model}}"),
            ),
            boards=("switchyard-models",),
            alerts=("ModelInterTokenBurn",),
        ),
        Panel(
            title="Alerts that fire",
            text="By severity, the watchdog left out, which always fires. Each has a runbook.",
            unit="short",
            queries=(
                Query(
                    'sum by (severity) (ALERTS{alertstate="firing", alertname!="Watchdog"}) or vector(0)',
                    "{{severity}}",
                ),
            ),
            kind="stat",
            height=8,
            limits=(1.0,),
        ),
        Panel(
            title="Requests in flight",
            text="At all gateways now, and requests that wait for a place of a full model.",
            unit="short",
            queries=(
                Query(f"sum(gateway_requests_in_flight{{{NAMESPACE}}})", "in flight"),
                Query(total(select("gateway_requests_waiting", MODEL)), "waiting"),
            ),
            boards=("switchyard-models",),
            alerts=("QueueForPlaceLong",),
        ),
    ),
)

BOARD = Board(
    uid="switchyard-slo",
    title="Service levels",
    text="Objectives of models and tenants: attained, budget left, how fast it is used, and the traffic behind that.",
    variables=(panels.NAMESPACE, panels.MODEL, panels.TENANT),
    rows=(
        Row(title="Attained in the time shown", panels=tuple(map(_attained, _OBJECTIVES))),
        Row(title="Error budget of 30 days", panels=tuple(map(_budget_left, _OBJECTIVES))),
        Row(title="Burn rate", panels=tuple(map(_burn, _OBJECTIVES))),
        _TRAFFIC,
    ),
)
