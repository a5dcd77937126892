"""Every query of every panel is run on a Prometheus that scrapes a platform with traffic, and has a result.

Of what cannot run on this machine, a file has what its metrics are called.
"""

import json
import math
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest

from dashboards.alerting.rules import Clock
from dashboards.boards import BOARDS
from dashboards.panels import Query, Variable
from dashboards.promql import EVERYTHING, fill
from tests.live.observability import exporters, expositions
from tests.live.observability.traffic import KEYS, SharedPlatform, Traffic
from tests.live.observability.watching import Job, Watch
from tests.live.processes import eventually

pytestmark = pytest.mark.live

CLOCK = Clock(speed=20.0)  # of rules, whose windows are days
SCRAPES = 3  # of each target, so that what counts has grown between two
# In place of Grafana's: all of the run.
WINDOW = {**EVERYTHING, "__rate_interval": "10m", "__range": "1h"}
# Metrics of a revision's pods have its names by relabeling, those of KEDA and nodes have none of ours.
CLUSTER = {"service": "chat-fast", "kn_revision_name": "chat-fast-predictor-00001"}
QUERIES = [
    (f"{board.uid}: {panel.title}", query) for board in BOARDS for panel in board.panels for query in panel.queries
]
VARIABLES = sorted({variable for board in BOARDS for variable in board.variables}, key=lambda one: one.name)
NOT_HERE = ("knative", "keda", "dcgm", "karpenter", "vllm-options", "triton-options")
# What people choose on a board: names of the traffic, then those of the files.
CHOICES = {
    "namespace": ("local", "models"),
    "model": ("chat-fast", "embed", "ocr", "auto", "ocr-recognition", "ocr-direction"),
    "tenant": ("acme", "saver"),
}
# Panels whose marked queries may have values: of a model that happens to be full, of a store that rejects a line.
BY_CHANCE = ("Time waited for a place", "Log lines")


@pytest.fixture(scope="module")
def watch(
    observed: SharedPlatform, first_embedding: httpx.Response, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watch]:
    assert first_embedding.status_code == 200
    with ExitStack() as stack:
        # Elsewhere, as all that servers write is searched for keys.
        key = Path(stack.enter_context(TemporaryDirectory())) / "key"
        key.write_text(KEYS["operator"])
        pages = stack.enter_context(expositions.serving())
        jobs = [_platform(f"{observed.record()['control']}/targets", key), *(_page(name, pages) for name in NOT_HERE)]
        folder = tmp_path_factory.mktemp("panels")
        jobs += exporters.jobs(stack, folder / "exporters", observed)
        watching = stack.enter_context(Watch(folder / "watch", "http://127.0.0.1:9/", jobs, clock=CLOCK))
        traffic = Traffic(observed)
        # Before and after each: what counts is seen to grow only between two scrapes.
        _until_scraped(watching)
        traffic.all()
        _until_scraped(watching)
        traffic.crash()
        _until_scraped(watching)
        traffic.all()
        _until_scraped(watching)
        yield watching


def _platform(targets: str, key: Path) -> Job:
    return Job(name="switchyard", found_at=targets, options={"authorization": {"credentials_file": str(key)}})


def _page(name: str, address: str) -> Job:
    honored = name in ("knative", "dcgm")
    return Job(
        name=name,
        targets=[(address, CLUSTER if name == "knative" else {})],
        options={"metrics_path": f"/{name}", "honor_labels": honored},
    )


def _until_scraped(watching: Watch) -> None:
    """Wait until all targets have been scraped again since now, and not in vain."""
    began = time.time()
    scraped = f"min(timestamp(up)) > {began + SCRAPES} and min(up) == 1"
    eventually(lambda: watching.value(scraped) > 0, "all targets are scraped")


def has_data(watching: Watch, query: Query, values: Mapping[str, str] = WINDOW) -> str:
    """Return what is wrong with the result of a query over the time of the run, nothing if it has values."""
    end = time.time()
    asked = {"query": fill(query.expr, values), "start": end - 900, "end": end, "step": 5}
    try:
        series = _ask(watching, "query_range", asked)["result"]
    except urllib.error.HTTPError as err:
        return err.read().decode()
    found = [float(value) for one in series for _, value in one["values"]]
    return "" if any(math.isfinite(value) for value in found) else "no value"


def _ask(watching: Watch, path: str, asked: Mapping[str, object]) -> Any:
    url = f"{watching.url}/api/v1/{path}?{urllib.parse.urlencode(asked)}"
    with urllib.request.urlopen(url, timeout=30) as response:
        return json.load(response)["data"]


def test_every_query_of_every_panel_has_a_result_or_a_reason_for_none(watch: Watch) -> None:
    wrong, needless = [], []
    for name, query in QUERIES:
        result = has_data(watch, query)
        if result and not (query.no_data and result == "no value"):
            wrong.append(f"{name}: {result}: {query.expr}")
        elif query.no_data and not result and name.partition(": ")[2] not in BY_CHANCE:
            needless.append(f"{name}: {query.expr}")
    assert wrong == [], "\n".join(["without a result:", *wrong, watch.logs()])
    assert needless == [], "\n".join(["marked, and with values:", *needless])


def test_every_query_has_a_result_for_one_model_tenant_and_namespace(watch: Watch) -> None:
    chosen = [(name, query) for name, query in QUERIES if not query.no_data and _used(query)]
    wrong = [f"{name}: {query.expr}" for name, query in chosen if not _has_data_for_one(watch, query)]
    assert len(chosen) > len(QUERIES) / 2
    assert wrong == [], "\n".join(["without a result for any choice:", *wrong])


def _used(query: Query) -> list[str]:
    return [name for name in CHOICES if f"${name}" in query.expr]


def _has_data_for_one(watching: Watch, query: Query) -> bool:
    """Whether one of the choices gives values; a choice matches no series that is without the label."""
    used = _used(query)
    return any(
        not has_data(watching, query, {**WINDOW, **dict(zip(used, values, strict=True))})
        for values in product(*(CHOICES[name] for name in used))
    )


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.name)
def test_a_variable_lists_what_there_is(watch: Watch, variable: Variable) -> None:
    match = {"match[]": fill(variable.series, {**WINDOW, "namespace": "local|models"})}
    listed = _ask(watch, f"label/{variable.label}/values", match)
    assert {*CHOICES[variable.name][:1]} <= {*listed}, listed
