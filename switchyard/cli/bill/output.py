"""Writes a summary as a table for people, and as CSV or JSON for programs."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from switchyard.cli.bill.summary import Amounts, Group, Sums, dollars, total


def as_csv(by: Sequence[Group], found: Sums) -> str:
    """Return a line for each group below one with names."""
    text = io.StringIO()
    names = [name for name in asdict(Amounts()) if name != "nano_dollars"]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*by, *names, "dollars"])
    for key, amounts in found.items():
        writer.writerow([*key, *(getattr(amounts, name) for name in names), dollars(amounts.nano_dollars)])
    return text.getvalue()


def as_json(by: Sequence[Group], found: Sums) -> str:
    """Return a list of objects; dollars are text, as a number would lose digits."""
    rows = [
        {**dict(zip(by, key, strict=True)), **asdict(amounts), "dollars": dollars(amounts.nano_dollars)}
        for key, amounts in found.items()
    ]
    return json.dumps(rows, indent=1) + "\n"


def print_table(by: Sequence[Group], found: Sums) -> None:
    """Print a table with a sum below it, as wide as its cells: what is piped on is not cut."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    sums, every = total(found), asdict(Amounts())
    shown = [name for name in every if name in ("requests", "nano_dollars") or getattr(sums, name)]
    table = Table(box=None, show_footer=len(found) > 1, pad_edge=False)
    for place, group in enumerate(by):
        table.add_column(group, footer="all" if place == 0 else "", no_wrap=True)
    for name in shown:
        head = "dollars" if name == "nano_dollars" else name.replace("_", " ")
        table.add_column(head, footer=_cells(sums)[name], justify="right", no_wrap=True)
    for key, amounts in found.items():
        cells = _cells(amounts)
        # Text, as a name in brackets would be markup.
        table.add_row(*(Text(part) for part in (*key, *(cells[name] for name in shown))))
    console = Console(soft_wrap=True)
    width = max(console.measure(table).maximum, console.width) if not console.is_terminal else None
    console.print(table, width=width)


def _cells(amounts: Amounts) -> Mapping[str, str]:
    counted = {name: f"{value:,}" for name, value in asdict(amounts).items()}
    return {**counted, "nano_dollars": dollars(amounts.nano_dollars)}
