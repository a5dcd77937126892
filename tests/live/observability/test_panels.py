"""Every query of every panel is run on a Prometheus that scrapes a platform with traffic, and has a result."""

import json
import math
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from dashboards.alerting.rules import Clock
from dashboards.boards import BOARDS
from dashboards.panels import Query
from dashboards.promql import EVERYTHING, fill
from tests.live.observability import expositions
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
NOT_HERE = ("knative", "keda", "dcgm", "karpenter", "node", "redis", "collector", "vllm-options", "triton-options")


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
        folder = tmp_path_factory.mktemp("panels") / "watch"
        watching = stack.enter_context(Watch(folder, "http://127.0.0.1:9/", jobs, clock=CLOCK))
        traffic = Traffic(observed)
        traffic.all()
        _until_scraped(watching)
        traffic.crash()
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
    """Wait until all targets have been scraped again since now."""
    began = time.time()
    eventually(
        lambda: watching.value(f"min(timestamp(up)) > {began + SCRAPES}") > 0, "all targets are scraped", seconds=60
    )


def has_data(watching: Watch, query: Query) -> str:
    """Return what is wrong with the result of a query over the time of the run, nothing if it has values."""
    end = time.time()
    asked = {"query": fill(query.expr, WINDOW), "start": end - 900, "end": end, "step": 5}
    url = f"{watching.url}/api/v1/query_range?{urllib.parse.urlencode(asked)}"
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            series = json.load(response)["data"]["result"]
    except urllib.error.HTTPError as err:
        return err.read().decode()
    values = [float(value) for one in series for _, value in one["values"]]
    return "" if any(math.isfinite(value) for value in values) else "no value"


def test_every_query_of_every_panel_has_a_result(watch: Watch) -> None:
    asked, marked, found = 0, [], []
    for board in BOARDS:
        for panel in board.panels:
            for query in panel.queries:
                asked += 1
                wrong = has_data(watch, query)
                if wrong and panel.no_data and wrong == "no value":
                    marked.append(f"{board.uid}: {panel.title}: {panel.no_data}")
                elif wrong:
                    found.append(f"{board.uid}: {panel.title}: {wrong}: {query.expr}")
    print(
        f"{asked} queries, {asked - len(marked) - len(found)} with values, {len(marked)} marked without:",
        *marked,
        sep="\n",
    )
    assert found == [], "\n".join(["without a result:", *found, watch.logs()])
