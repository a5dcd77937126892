"""What a benchmark leaves behind: a table on the terminal and a JSON file with every round."""

import json
import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured figure over all rounds; ``target`` is what it must reach, in words."""

    name: str
    unit: str
    values: tuple[float, ...]
    target: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, ...]:
    """Ours over theirs, round by round, so that the machine's state cancels out."""
    return tuple(mine / other for mine, other in zip(ours, theirs, strict=True))


def publish(name: str, figures: Sequence[Figure], setting: Mapping[str, object]) -> None:
    """Prints the figures and writes ``benchmarks/results/<name>.json``."""
    table = Table("figure", "median", "min .. max", "unit", "target", title=f"{name}: {json.dumps(setting)}")
    for figure in figures:
        spread = f"{min(figure.values):.3g} .. {max(figure.values):.3g}"
        table.add_row(figure.name, f"{figure.median:.3g}", spread, figure.unit, figure.target)
    Console(width=150).print(table)
    RESULTS.mkdir(exist_ok=True)
    load = {"load_average": os.getloadavg()[0], "cpus": os.cpu_count()}
    content = {"setting": {**setting, **load}, "figures": [asdict(figure) for figure in figures]}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
