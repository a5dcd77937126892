"""Boards are what a linter of dashboards and queries would pass, and name only metrics that exist."""

import json
from collections import Counter
from pathlib import Path
from typing import TypeVar

import promql_parser
import pytest

from dashboards.__main__ import generated, outdated
from dashboards.alerting import files, slos
from dashboards.boards import BOARDS
from dashboards.panels import GRID_WIDTH, Board
from dashboards.promql import fill, selectors
from tests.dashboards.families import declared, known

FILES = sorted(path for path in generated() if path.suffix == ".json")
PANELS = [(f"{board.uid}: {panel.title}", panel) for board in BOARDS for panel in board.panels]
QUERIES = [(name, query) for name, panel in PANELS for query in panel.queries]
OVER_TIME = {"rate", "increase", "irate"}  # functions that take counters
VARIABLES = ("namespace", "model", "tenant")

Node = TypeVar("Node", bound=promql_parser.Expr)

# Families of ours that no board shows, with the reason.
ON_NO_BOARD: dict[str, str] = {}
MOST_MARKED = 0.15  # of panels may have a query without data


def nodes(expr: str, kind: type[Node]) -> list[Node]:
    found: list[promql_parser.Expr] = []
    promql_parser.walk(promql_parser.parse(fill(expr)), found.append)
    return [node for node in found if isinstance(node, kind)]


def calls(expr: str, names: set[str]) -> list[promql_parser.Call]:
    """All calls of functions with these names."""
    return [call for call in nodes(expr, promql_parser.Call) if call.func.name in names]


def sums(expr: str) -> list[promql_parser.AggregateExpr]:
    """All sums, counts and the like."""
    return nodes(expr, promql_parser.AggregateExpr)


def kept(node: promql_parser.AggregateExpr) -> set[str]:
    """Labels that a sum keeps."""
    return {*node.modifier.labels} if node.modifier is not None else set()


def test_generated_files_are_up_to_date() -> None:
    assert outdated(generated()) == [], "run python -m dashboards"


def test_ids_and_titles_are_unique() -> None:
    assert max(Counter(board.uid for board in BOARDS).values()) == 1
    assert max(Counter(board.title for board in BOARDS).values()) == 1
    assert max(Counter(name for name, _ in PANELS).values()) == 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_panels_have_places_of_their_own(path: Path) -> None:
    panels = json.loads(path.read_text())["panels"]
    assert max(Counter(panel["id"] for panel in panels).values()) == 1
    cells = Counter(
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    )
    assert max(cells.values()) == 1
    assert max(x for x, _ in cells) < GRID_WIDTH


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_everything_is_asked_of_the_data_source_that_was_chosen(path: Path) -> None:
    board = json.loads(path.read_text())
    variables = board["templating"]["list"]
    assert variables[0]["type"] == "datasource"
    asked = [panel for panel in board["panels"] if panel["type"] != "row"]
    asked += [target for panel in asked for target in panel["targets"]]
    asked += [variable for variable in variables if variable["type"] == "query"]
    assert {json.dumps(one["datasource"]) for one in asked} == {'{"type": "prometheus", "uid": "${datasource}"}'}


def test_a_panel_says_what_it_is() -> None:
    assert [name for name, panel in PANELS if not (panel.title and panel.unit and panel.queries)] == []
    assert [name for name, panel in PANELS if not panel.text.endswith(".")] == []


def test_a_panel_leads_to_other_boards_alone() -> None:
    boards = {board.uid for board in BOARDS}
    for board in BOARDS:
        assert {uid for panel in board.panels for uid in panel.boards} <= boards - {board.uid}


def test_each_alert_is_linked_from_a_panel_that_shows_its_cause() -> None:
    alerts = {alert.name for alert in files.alerts(slos.read())}
    assert {alert for _, panel in PANELS for alert in panel.alerts} == alerts


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_a_board_has_the_variables_that_it_uses(board: Board) -> None:
    used = {name for panel in board.panels for query in panel.queries for name in VARIABLES if f"${name}" in query.expr}
    assert used == {variable.name for variable in board.variables}


def test_metrics_of_a_query_exist() -> None:
    assert {metric: name for name, query in QUERIES for metric in query.metrics if metric not in known()} == {}
    assert [name for name, query in QUERIES if not query.metrics] == []


def test_counters_are_asked_for_rates_and_nothing_else_is() -> None:
    """A rate of a gauge is noise, and a counter without one is the age of a process."""
    found = []
    for name, query in QUERIES:
        rated = {call.args[0].vector_selector.name for call in calls(query.expr, OVER_TIME)}
        counters = {metric for metric in query.metrics if known().get(metric) in ("counter", "histogram")}
        # How many processors a node has is how many of these counters.
        series = {getattr(node.expr, "name", "") for node in sums(query.expr) if str(node.op) == "count"}
        found += [f"{name}: {metric}" for metric in rated ^ (counters - series)]
    assert found == []


def test_a_rate_is_over_an_interval_that_fits_the_scrapes() -> None:
    fitting = {"$__rate_interval", "$__range"}
    ranges = {part.partition("]")[0] for _, query in QUERIES for part in query.expr.split("[")[1:]}
    assert ranges <= fitting


def test_a_quantile_is_of_sums_by_le() -> None:
    for name, query in QUERIES:
        for call in calls(query.expr, {"histogram_quantile"}):
            summed = call.args[1]
            assert isinstance(summed, promql_parser.AggregateExpr), name
            assert "le" in kept(summed), name


def test_a_division_is_guarded_against_zero() -> None:
    """Without traffic there is no value, rather than NaN, which alerts and means take for one."""
    found = []
    for name, query in QUERIES:
        for node in nodes(query.expr, promql_parser.BinaryExpr):
            divisor = node.rhs.expr if isinstance(node.rhs, promql_parser.ParenExpr) else node.rhs
            constant = isinstance(divisor, promql_parser.NumberLiteral)
            if str(node.op) == "/" and not constant and str(getattr(divisor, "op", "")) != ">":
                found.append(f"{name}: {query.expr}")
    assert found == []


def test_the_labels_of_a_legend_are_kept_by_its_query() -> None:
    found = []
    for name, query in QUERIES:
        named = {part.partition("}}")[0] for part in query.legend.split("{{")[1:]}
        left = [kept(node) for node in sums(query.expr) if str(node.op) != "topk"]
        if not all(named <= labels for labels in left) or (named and not left):
            found.append(f"{name}: {query.legend}")
    assert found == []


def test_our_own_metrics_are_those_of_the_namespace_that_was_chosen() -> None:
    asked = [(name, query) for name, query in QUERIES if query.sources <= {"own", "vllm", "triton"}]
    found = [
        f"{name}: {selector.name}"
        for name, query in asked
        for selector in selectors(query.expr)
        if "namespace" not in {matcher.name for matcher in selector.matchers.matchers}
    ]
    assert found == []


def test_few_panels_may_be_empty() -> None:
    marked = [name for name, panel in PANELS if panel.no_data]
    assert len(marked) <= MOST_MARKED * len(PANELS), f"{len(marked)} of {len(PANELS)}"


def test_every_family_of_ours_is_on_a_board() -> None:
    shown = {name for _, panel in PANELS for name in panel.metrics}
    families = {metric._name for metric in declared()}
    hidden = {family for family in families if not any(name.startswith(family) for name in shown)}
    assert hidden == {*ON_NO_BOARD}


def test_a_reading_of_a_board_that_is_not_up_to_date_is_found(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("{}")
    wanted = {tmp_path / "new.json": "{}", tmp_path / "same.json": "{}"}
    (tmp_path / "same.json").write_text("{}")

    assert outdated(wanted) == [tmp_path / "new.json", tmp_path / "old.json"]
