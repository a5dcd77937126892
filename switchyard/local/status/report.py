"""The states of all processes as text that fits a terminal: names are whole at any width."""

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from switchyard.repository.names import visible

if TYPE_CHECKING:
    from switchyard.local.status.run_directory import Run

_COLUMNS = ("service", "state", "for", "process", "starts", "held", "in flight")
_GAP = "  "


def width() -> int | None:
    """Return the columns of the terminal; None where the output goes elsewhere, unless COLUMNS is set."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() or os.environ.get("COLUMNS") else None


def as_json(run: "Run", rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the run and its ``rows`` as JSON for programs."""
    about = {"overlay": run.overlay, "gateway": run.gateway, "supervisor": run.supervisor.pid, "control": run.control}
    about["device"] = run.device
    about |= {"observers": dict(run.observers)} if run.observers else {}
    return json.dumps({**about, "processes": rows}, indent=2)


def lines(rows: Mapping[str, Mapping[str, Any]], columns: int | None) -> Iterator[str]:
    """Yield a table of ``rows`` that is at most ``columns`` wide; what does not fit beside a row is below it."""
    table = [_COLUMNS, *(tuple(map(visible, _cells(name, row))) for name, row in rows.items())]
    last = ["last start", *(visible(_last_start(row)) for row in rows.values())]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    total = sum(widths) + len(_GAP) * len(widths)
    if columns is not None and total > columns:
        yield from _list(table[1:], last[1:], columns)
        return
    for number, (cells, text) in enumerate(zip(table, last, strict=True)):
        line = _GAP.join(cell.ljust(wide) for cell, wide in zip(cells, widths, strict=True))
        if columns is None or total + max(map(len, last)) <= columns:
            yield f"{line}{_GAP}{text}".rstrip()
        else:
            yield line.rstrip()
            yield from _below(text if number else "", columns)


def _list(table: Sequence[Sequence[str]], last: Sequence[str], columns: int) -> Iterator[str]:
    for (name, state, seconds, *counts), text in zip(table, last, strict=True):
        yield f"{name}{_GAP}{state}{_GAP}{seconds}"
        told = [f"{label} {count}" for label, count in zip(_COLUMNS[3:], counts, strict=True) if count]
        yield from _below("; ".join(filter(None, (", ".join(told), text))), columns)


def _below(text: str, columns: int) -> list[str]:
    # Words are never broken: a name or a path in a reason would be another one.
    return textwrap.wrap(
        text,
        max(columns, len(_GAP) + 1),
        initial_indent=_GAP,
        subsequent_indent=_GAP,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _cells(name: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    counts = (row["pid"] or "", row["starts"], row.get("held", ""), row.get("in_flight", ""))
    return (name, row["state"], f"{row['seconds']:.0f} s", *map(str, counts))


def _last_start(row: Mapping[str, Any]) -> str:
    phases = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in row["phases"].items())
    return str(row["reason"]) or phases
