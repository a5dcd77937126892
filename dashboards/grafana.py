"""Writes boards as Grafana's JSON, by the builders of grafana-foundation-sdk."""

import json
from collections.abc import Iterator, Mapping, Sequence

import yaml
from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dashboards.panels import GRID_WIDTH, Board, Panel, Query, Row, Variable

_PROMETHEUS = "prometheus"
_DATASOURCE = models.DataSourceRef(type_val=_PROMETHEUS, uid="${datasource}")
_GREEN, _ORANGE, _RED = "green", "orange", "red"
_CONFIG_MAP = "{}-board"  # as in kustomization.yaml
TAG = "switchyard"  # of every board: links between them are by it
RUNBOOKS = "/runbooks"  # where pages about alerts are; an installation that serves them elsewhere changes the variable
TRACES = "http://localhost:16686"  # Jaeger's own port
_PANEL_LINK = "/d/{uid}?${{__url_time_range}}&${{datasource:queryparam}}&{variables}"

_Builder = timeseries.Panel | stat.Panel | table.Panel | heatmap.Panel | statetimeline.Panel


def to_json(board: Board, boards: Mapping[str, Board]) -> str:
    """Return ``board`` as JSON; ``boards`` are all of them by id, for links between them."""
    made = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.text)
        .tags([TAG])
        .readonly()
        .refresh("1m")
        .time("now-1h", "now")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(_link_to_boards())
        .link(dashboard.DashboardLink("Traces").type(models.DashboardLinkType.LINK).url("${traces}").target_blank(True))
    )
    for variable in _variables(board):
        made.with_variable(variable)
    for panel in _placed(board, boards):
        made.with_panel(panel) if not isinstance(panel, dashboard.Row) else made.with_row(panel)
    return json.dumps(made.build(), cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


def file_name(board: Board) -> str:
    """Return the name of a board's file, which is the key in its ConfigMap too."""
    return f"{board.uid.removeprefix('switchyard-')}.json"


def operator_objects(boards: Sequence[Board]) -> str:
    """Return objects for grafana-operator that name the ConfigMap of each board, as YAML."""
    objects = [
        {
            "apiVersion": "grafana.integreatly.org/v1beta1",
            "kind": "GrafanaDashboard",
            "metadata": {"name": board.uid},
            "spec": {
                "instanceSelector": {"matchLabels": {"dashboards": "grafana"}},
                "folder": "Switchyard",
                "allowCrossNamespaceImport": True,  # a Grafana is in a namespace of its own
                "configMapRef": {"name": _CONFIG_MAP.format(board.uid), "key": file_name(board)},
            },
        }
        for board in boards
    ]
    return yaml.safe_dump_all(objects, sort_keys=False)


def description(panel: Panel) -> str:
    """Return what a panel says of itself: how to read it, from which metrics, and why it may be empty."""
    empty = [f"May be empty: {panel.no_data}"] if panel.no_data else []
    return "\n\n".join([panel.text, *empty, f"Metrics: {', '.join(f'`{name}`' for name in panel.metrics)}."])


def _link_to_boards() -> dashboard.DashboardLink:
    link = dashboard.DashboardLink("Boards").type(models.DashboardLinkType.DASHBOARDS).tags([TAG])
    return link.as_dropdown(True).include_vars(True).keep_time(True)


def _variables(
    board: Board,
) -> Iterator[dashboard.DatasourceVariable | dashboard.QueryVariable | dashboard.TextBoxVariable]:
    yield dashboard.DatasourceVariable("datasource").label("Prometheus").type(_PROMETHEUS)
    for variable in board.variables:
        yield _query_variable(variable)
    hidden = models.VariableHide.HIDE_VARIABLE
    yield dashboard.TextBoxVariable("runbooks").label("Runbooks").default_value(RUNBOOKS).hide(hidden)
    yield dashboard.TextBoxVariable("traces").label("Traces").default_value(TRACES).hide(hidden)


def _query_variable(variable: Variable) -> dashboard.QueryVariable:
    everything = models.VariableOption(selected=True, text="All", value="$__all")
    return (
        dashboard.QueryVariable(variable.name)
        .label(variable.title)
        .datasource(_DATASOURCE)
        .query(f"label_values({variable.series}, {variable.label})")
        .current(everything)
        .include_all(True)
        .all_value(".*")
        .multi(True)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )


def places(board: Board) -> Iterator[tuple[Row | Panel, models.GridPos]]:
    """Yield rows and panels with their places: left to right, a new line where the next one does not fit."""
    top = 0
    for row in board.rows:
        yield row, models.GridPos(h=1, w=GRID_WIDTH, x=0, y=top)
        left, top, height = 0, top + 1, 0
        for panel in row.panels:
            if left + panel.width > GRID_WIDTH:
                left, top, height = 0, top + height, 0
            yield panel, models.GridPos(h=panel.height, w=panel.width, x=left, y=top)
            left, height = left + panel.width, max(height, panel.height)
        top += height


def _placed(board: Board, boards: Mapping[str, Board]) -> Iterator[_Builder | dashboard.Row]:
    for number, (part, place) in enumerate(places(board), 1):
        if isinstance(part, Row):
            yield dashboard.Row(part.title).id(number).grid_pos(place)
        else:
            yield _panel(part, board, boards).id(number).grid_pos(place)


def _panel(panel: Panel, board: Board, boards: Mapping[str, Board]) -> _Builder:
    made = _of_kind(panel).title(panel.title).description(description(panel)).datasource(_DATASOURCE)
    made.unit(panel.unit).links(list(_links(panel, board, boards))).no_value("no data")
    steps = _steps(panel)
    if steps:
        made.thresholds(dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps))
    if panel.maximum is not None:
        made.min(0).max(panel.maximum)
    for index, query in enumerate(panel.queries):
        made.with_target(_target(query, panel, chr(ord("A") + index)))
    return made


def _of_kind(panel: Panel) -> _Builder:
    match panel.kind:
        case "stat":
            return stat.Panel().reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        case "table":
            return table.Panel()
        case "heatmap":
            return heatmap.Panel().color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges"))
        case "states":
            return statetimeline.Panel().show_value(options.VisibilityMode.AUTO)
        case "timeseries":
            return _timeseries(panel)


def _timeseries(panel: Panel) -> timeseries.Panel:
    made = timeseries.Panel().fill_opacity(20 if panel.stacked else 0).show_points(options.VisibilityMode.NEVER)
    legend = (
        common.VizLegendOptions().display_mode(options.LegendDisplayMode.LIST).placement(options.LegendPlacement.BOTTOM)
    )
    made.legend(legend.show_legend(True)).tooltip(common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI))
    if panel.stacked:
        made.stacking(common.StackingConfig().mode(options.StackingMode.NORMAL))
    if panel.limits or panel.floors:
        made.thresholds_style(common.GraphThresholdsStyleConfig().mode(options.GraphThresholdsStyleMode.DASHED))
    return made


def _steps(panel: Panel) -> list[models.Threshold]:
    """Return colors from the lowest value on: limits from green up to red, floors from red up to green."""
    if panel.floors:
        colors = [_RED, _GREEN] if len(panel.floors) == 1 else [_RED, _ORANGE, _GREEN]
        values: tuple[float, ...] = panel.floors
    elif panel.limits:
        colors = [_GREEN, _RED] if len(panel.limits) == 1 else [_GREEN, _ORANGE, _RED]
        values = panel.limits
    else:
        return []
    return [models.Threshold(value=value, color=color) for value, color in zip((None, *values), colors, strict=True)]


def _target(query: Query, panel: Panel, ref: str) -> prometheus.Dataquery:
    made = prometheus.Dataquery().ref_id(ref).expr(query.expr).legend_format(query.legend or "__auto")
    made.datasource(_DATASOURCE)
    if panel.kind == "table":
        return made.instant().format(PromQueryFormat.TABLE)
    if panel.kind == "heatmap":
        return made.range().format(PromQueryFormat.HEATMAP)
    return made.range().exemplar(query.exemplars)


def _links(panel: Panel, board: Board, boards: Mapping[str, Board]) -> Iterator[dashboard.DashboardLink]:
    for uid in panel.boards:
        shared = [one.name for one in boards[uid].variables if one in board.variables]
        url = _PANEL_LINK.format(uid=uid, variables="&".join(f"${{{name}:queryparam}}" for name in shared))
        yield dashboard.DashboardLink(boards[uid].title).type(models.DashboardLinkType.LINK).url(url)
    for alert in panel.alerts:
        link = dashboard.DashboardLink(f"Runbook: {alert}").type(models.DashboardLinkType.LINK)
        yield link.url(f"${{runbooks}}/{alert}.md").target_blank(True)
