"""The first board to open: are objectives met, how much error budget is left, how fast is it used."""

from dataclasses import dataclass

from dashboards import panels, promql
from dashboards.panels import Board, Panel, Query, Row
from dashboards.promql import MODEL, NAMESPACE, TENANT, increase, quantile, rate, share, within


@dataclass(frozen=True, slots=True, kw_only=True)
class _Objective:
    """Of the requests of each ``label``, ``target`` do not fail, or last at most ``le`` seconds by a histogram."""

    name: str
    label: str
    family: str
    target: float
    alert: str
    le: str = ""

    def missed(self, over: str) -> str:
        """Return the part of requests in the time ``over`` that missed the objective."""
        labels = MODEL if self.label == "model" else TENANT
        by = (self.label,)
        if self.le:
            return f"1 - {within(self.le, self.family, labels, by=by, over=over)}"
        failed = increase(self.family, f'{labels}, outcome="failed"', by=by, over=over)
        return share(failed, increase(self.family, f'{labels}, outcome=~"ok|failed"', by=by, over=over))

    @property
    def sentence(self) -> str:
        promise = (
            f"start or go on within {self.le} s" if self.le else "do not fail; rejected and cancelled ones do not count"
        )
        return f"Objective: {self.target:.4g} of requests {promise}."

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
        label="model",
        family="gateway_requests_total",
        target=0.99,
        alert="ModelAvailabilityBurn",
    ),
    _Objective(
        name="first byte of models",
        label="model",
        family="gateway_first_byte_seconds",
        target=0.95,
        le="2.5",
        alert="ModelFirstTokenBurn",
    ),
    _Objective(
        name="time per output token",
        label="model",
        family="gateway_time_per_output_token_seconds",
        target=0.95,
        le="0.1",
        alert="ModelInterTokenBurn",
    ),
    _Objective(
        name="availability for tenants",
        label="tenant",
        family="gateway_tenant_requests_total",
        target=0.99,
        alert="TenantAvailabilityBurn",
    ),
    _Objective(
        name="first byte for tenants",
        label="tenant",
        family="gateway_tenant_first_byte_seconds",
        target=0.95,
        le="2.5",
        alert="TenantFirstTokenBurn",
    ),
)


def _attained(objective: _Objective) -> Panel:
    return Panel(
        title=f"Attained: {objective.name}",
        text=f"Part of the requests in the time shown that met the objective. {objective.sentence}",
        unit="percentunit",
        queries=(Query(f"1 - ({objective.missed('$__range')})", objective.legend),),
        kind="stat",
        width=objective.width,
        height=5,
        floors=(objective.target,),
        boards=objective.boards,
        alerts=(objective.alert,),
    )


def _budget_left(objective: _Objective) -> Panel:
    left = f"1 - ({objective.missed('30d')}) / {1 - objective.target:.4g}"
    return Panel(
        title=f"Budget left: {objective.name}",
        text="Part of the error budget of 30 days that is left; below 0 the objective is missed.",
        unit="percentunit",
        queries=(Query(left, objective.legend),),
        kind="stat",
        width=objective.width,
        height=5,
        floors=(0.0, 0.25),
        boards=objective.boards,
        alerts=(objective.alert,),
    )


def _burn(objective: _Objective) -> Panel:
    allowed = f"{1 - objective.target:.4g}"
    return Panel(
        title=f"Burn rate: {objective.name}",
        text=(
            "How many times faster than allowed the budget is used: at 1 it lasts 30 days, at 14.4 for an hour a "
            "page comes."
        ),
        unit="suffix:x",
        queries=(
            Query(f"({objective.missed('1h')}) / {allowed}", f"{objective.legend} 1h"),
            Query(f"({objective.missed('5m')}) / {allowed}", f"{objective.legend} 5m"),
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
            queries=(Query(rate("gateway_requests_total", MODEL, by=("outcome",)), "{{outcome}}"),),
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
                Query(quantile(part, "gateway_first_byte_seconds", MODEL), f"p{part * 100:.0f}", exemplars=True)
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
                Query(promql.total(promql.select("gateway_requests_waiting", MODEL)), "waiting"),
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
