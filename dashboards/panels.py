"""What a board is made of: rows of panels, each with its queries, unit and meaning."""

from dataclasses import dataclass, field
from typing import Literal

from dashboards import promql
from dashboards.sources import Source, source_of

Kind = Literal["timeseries", "stat", "table", "heatmap", "states"]

GRID_WIDTH = 24  # columns of Grafana's grid


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression with Grafana's variables in it; ``legend`` is the name of a series, with its labels.

    ``no_data`` is the reason why it may be empty though all of its sources are scraped.
    """

    expr: str
    legend: str = ""
    exemplars: bool = False
    no_data: str = ""

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics that the expression reads."""
        return promql.metric_names(self.expr)

    @property
    def sources(self) -> frozenset[Source]:
        """Who exposes what the query reads: it has data where all of them are scraped."""
        return frozenset(map(source_of, self.metrics))


def quantiles(
    histogram: str, legend: str, labels: str, *, by: tuple[str, ...], exemplars: bool = False
) -> tuple[Query, ...]:
    """Return what half and what 95 of 100 values of ``histogram`` stay below; ``exemplars`` stand with the latter."""
    return tuple(
        Query(promql.quantile(part, histogram, labels, by=by), f"p{part * 100:.0f} {legend}", exemplars and part > 0.5)
        for part in (0.5, 0.95)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel of a board.

    ``text`` says how to read it; the writer adds names of metrics. ``boards`` are ids of boards to go to for more,
    ``alerts`` names of alerts whose runbooks belong to it. From the first of ``limits`` on a value is orange, from the
    last on red; below the first of ``floors`` it is red, below the last orange.
    """

    title: str
    text: str
    unit: str
    queries: tuple[Query, ...]
    kind: Kind = "timeseries"
    width: int = 8
    height: int = 8
    stacked: bool = False
    maximum: float | None = None
    limits: tuple[float, ...] = ()
    floors: tuple[float, ...] = ()
    boards: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics of all queries, sorted."""
        return sorted({name for query in self.queries for name in query.metrics})

    @property
    def no_data(self) -> str:
        """Why queries may be empty though all of their sources are scraped; each reason once."""
        return " ".join(dict.fromkeys(query.no_data for query in self.queries if query.no_data))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Panels below one heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A choice at the top of a board: the values of ``label`` among the series of ``series``."""

    name: str
    label: str
    series: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One dashboard; ``uid`` is its address and never changes."""

    uid: str
    title: str
    text: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = field(default=())

    @property
    def panels(self) -> list[Panel]:
        """All panels, in the order of the board."""
        return [panel for row in self.rows for panel in row.panels]


NAMESPACE = Variable(name="namespace", label="namespace", series="up", title="Namespace")
MODEL = Variable(name="model", label="model", series='gateway_requests_total{namespace=~"$namespace"}', title="Model")
TENANT = Variable(
    name="tenant", label="tenant", series='gateway_tenant_requests_total{namespace=~"$namespace"}', title="Tenant"
)
