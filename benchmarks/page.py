"""``python -m benchmarks.page``: writes docs/benchmarks.md from the latest results."""

import json
import statistics
from pathlib import Path
from typing import Any

from benchmarks.processes import ROOT
from benchmarks.report import RESULTS

PAGE = ROOT / "docs" / "benchmarks.md"

_INTRO = """\
# Benchmarks

Written by `make bench` (or `python -m benchmarks.<name>` and then `python -m benchmarks.page`). Every comparison is
made in interleaved rounds on the same machine, and a ratio is taken within its round, because machines are noisy: trust
ratios and processor time, not single absolute times. Cells are the median of the rounds, with the least and the most.
How the gateway stands against other proxies is on [a page of its own](benchmarks-proxies.md).

"""


def write() -> None:
    """Replace the sections of benchmarks that left results here; the others stay as they are."""
    _, *before = PAGE.read_text().split("\n## ")
    sections = {text.partition("\n")[0]: f"## {text.rstrip()}\n" for text in before}
    sections |= {path.stem: _section(path) for path in RESULTS.glob("*.json")}
    PAGE.write_text(_INTRO + "\n".join(sections[name] for name in sorted(sections)))


def _section(path: Path) -> str:
    content: dict[str, Any] = json.loads(path.read_text())
    setting = content["setting"]
    where = f"{setting['cpus']} cores, load average {setting['load_average']:.1f} at the end"
    lines = [
        f"## {path.stem}",
        "",
        f"`python -m benchmarks.{path.stem}`, {setting['rounds']} rounds, {where}.",
        "",
        "| figure | median | least .. most | unit | target |",
        "|---|---|---|---|---|",
    ]
    for row in content["figures"]:
        values = row["values"]
        median, least, most = (f"{value:.3g}" for value in (statistics.median(values), min(values), max(values)))
        lines.append(f"| {row['name']} | **{median}** | {least} .. {most} | {row['unit']} | {row['target']} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    write()
