"""What `make bench` runs, and docs/benchmarks.md shows."""

import re
from importlib.util import find_spec

from benchmarks.__main__ import NAMES
from tests.docs.pages import DOCS


def test_every_benchmark_of_the_page_can_be_run_by_its_name() -> None:
    shown = re.findall(r"^## (\S+)$", (DOCS / "benchmarks.md").read_text(), re.MULTILINE)
    for name in {*shown, *NAMES}:
        found = find_spec(f"benchmarks.{name}")
        assert found, name
        assert not found.submodule_search_locations or find_spec(f"benchmarks.{name}.__main__"), name


def test_every_benchmark_that_make_bench_runs_has_its_figures_on_the_page() -> None:
    shown = re.findall(r"^## (\S+)$", (DOCS / "benchmarks.md").read_text(), re.MULTILINE)
    assert {*NAMES} <= {*shown}
