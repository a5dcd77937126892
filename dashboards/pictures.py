"""Draws boards of real results of a Prometheus, for the documentation: ``python -m dashboards.pictures URL FOLDER``.

Grafana is not asked: panels have the places, titles, units and legends of the boards, and the values that Grafana would
get, in another drawing.
"""

import argparse
import json
import math
import re
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib import dates
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from dashboards.boards import BOARDS
from dashboards.grafana import places
from dashboards.panels import GRID_WIDTH, Board, Panel, Query, Row
from dashboards.promql import EVERYTHING, fill

_INCHES = 0.62  # of a column of Grafana's grid; a row is half as high
_STEPS = 120  # values of a line
_PALETTE = 48  # colors of a picture
_HEADING = 0.4  # inches
_DAY = 86400.0
_LINES = 6  # of a panel; more would not be told apart
_NAME = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_UNITS = {
    "percentunit": "%",
    "reqps": "/s",
    "cps": "/s",
    "ops": "/s",
    "Bps": "B/s",
    "s": "s",
    "bytes": "B",
    "suffix:x": "x",
}
_COLORS = ("#3865ab", "#e0752d", "#3f8f4f", "#a352cc", "#c4162a", "#1f9e9e")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One series: its name as in the legend, and values by time."""

    name: str
    times: Sequence[float]
    values: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A Prometheus at ``url``, asked for the ``seconds`` before ``end``, which is in seconds since 1970."""

    url: str
    seconds: float
    end: float

    def lines(self, query: Query) -> list[Line]:
        """Return the series of a query.

        Raises:
            urllib.error.URLError: Prometheus does not respond, or says that the query is wrong.

        """
        step = max(1.0, self.seconds / _STEPS)
        window = f"{max(4 * step, 60):.0f}s"
        expr = fill(query.expr, {**EVERYTHING, "__rate_interval": window, "__range": f"{self.seconds:.0f}s"})
        asked = urllib.parse.urlencode({"query": expr, "start": self.end - self.seconds, "end": self.end, "step": step})
        with urllib.request.urlopen(f"{self.url}/api/v1/query_range?{asked}", timeout=60) as response:  # noqa: S310
            series = json.load(response)["data"]["result"]
        return [
            Line(
                name=_named(query.legend, one["metric"]),
                times=[float(at) for at, _ in one["values"]],
                values=[float(value) for _, value in one["values"]],
            )
            for one in series
        ]


def _named(legend: str, labels: Mapping[str, str]) -> str:
    return _NAME.sub(lambda match: labels.get(match[1], ""), legend)


def draw(board: Board, source: Source) -> Figure:
    """Return the picture of ``board``."""
    found = list(places(board))
    rows = max(place.y + place.h for _, place in found)
    figure = Figure(figsize=(GRID_WIDTH * _INCHES, rows * _INCHES / 2 + _HEADING), facecolor="white")
    scale = rows * _INCHES / 2 / figure.get_figheight()  # of the picture, what is below the heading

    def at(row: float) -> float:
        return float(1 - row / rows) * scale

    figure.text(0.01, 1 - (1 - scale) / 2, f"{board.title}: {board.text}", va="center", fontsize=11)
    for part, place in found:
        if isinstance(part, Row):
            figure.text(0.01, at(place.y + 0.5), part.title, va="center", fontsize=10, color="grey")
            continue
        left, width = place.x / GRID_WIDTH + 0.035, place.w / GRID_WIDTH - 0.045
        bottom, top = at(place.y + place.h - 1), at(place.y + 1.2)
        lines = [line for query in part.queries for line in source.lines(query)]
        _panel(figure.add_axes((left, bottom, width, top - bottom)), part, lines)
    return figure


def _panel(axes: Axes, panel: Panel, lines: list[Line]) -> None:
    unit = _UNITS.get(panel.unit, "")
    axes.set_title(f"{panel.title}{f' ({unit})' if unit else ''}", fontsize=8, loc="left", fontweight="bold")
    axes.tick_params(labelsize=6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    shown = sorted((line for line in lines if _last(line) is not None), key=_last_value, reverse=True)[:_LINES]
    if not shown:
        axes.text(0.5, 0.5, "no data", ha="center", va="center", transform=axes.transAxes, fontsize=8, color="grey")
        axes.set_axis_off()
    elif panel.kind in ("stat", "table"):
        _bars(axes, panel, shown)
    else:
        _plot(axes, panel, shown)


def _bars(axes: Axes, panel: Panel, lines: list[Line]) -> None:
    names = [line.name for line in reversed(lines)]
    values = [_scaled(panel, _last_value(line)) for line in reversed(lines)]
    bars = axes.barh(names, values, color=_COLORS[0], height=0.6)
    axes.bar_label(bars, labels=[f"{value:.4g}" for value in values], fontsize=6, padding=2)
    axes.margins(x=0.15)


def _plot(axes: Axes, panel: Panel, lines: list[Line]) -> None:
    for line, color in zip(lines, _COLORS, strict=False):
        at = [one / _DAY for one in line.times]  # matplotlib counts days since 1970
        values = [_scaled(panel, value) for value in line.values]
        if panel.kind == "states":
            axes.step(at, values, color=color, label=line.name, linewidth=1, where="post")
        else:
            axes.plot(at, values, color=color, label=line.name, linewidth=1)
    axes.xaxis.set_major_formatter(dates.DateFormatter("%H:%M"))  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(MaxNLocator(4))
    lowest = min(value for line in lines for value in line.values if math.isfinite(value))
    axes.set_ylim(min(0.0, _scaled(panel, lowest)), axes.get_ylim()[1] * 1.4)  # room for the legend
    axes.yaxis.get_offset_text().set_fontsize(6)
    axes.legend(fontsize=5, loc="upper left", frameon=False, ncols=2)


def _scaled(panel: Panel, value: float) -> float:
    return value * 100 if panel.unit == "percentunit" else value


def _last(line: Line) -> float | None:
    return next((value for value in reversed(line.values) if math.isfinite(value)), None)


def _last_value(line: Line) -> float:
    return _last(line) or 0.0


def _chosen(uids: Sequence[str]) -> Iterator[Board]:
    yield from (board for board in BOARDS if not uids or board.uid in uids)


def main() -> int:
    """Draw and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.pictures", description=__doc__)
    parser.add_argument("url", help="Prometheus, as http://localhost:9090")
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--board", action="append", default=[], help="the uid of one to draw, may be repeated; else all"
    )
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--until", type=float, default=time.time(), help="seconds since 1970; else now")
    arguments = parser.parse_args()
    source = Source(url=arguments.url.rstrip("/"), seconds=arguments.minutes * 60, end=arguments.until)
    for board in _chosen(arguments.board):
        path = arguments.folder / f"{board.uid}.png"
        draw(board, source).savefig(path, dpi=72)
        Image.open(path).quantize(_PALETTE).save(path, optimize=True)  # a third of the bytes
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
