"""Real processes that the live tests share; a failing test prints the logs of those that it used.

All that they write is searched for API keys in the end.
"""

from collections.abc import Generator, Iterator

import pytest

from tests.leaks.plugin import no_key_is_written as no_key_is_written
from tests.live.platform import Platform, running
from tests.live.processes import Predictor, Preload, chat_model, embedding_model


@pytest.fixture(scope="session")
def preload(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Preload]:
    started = Preload(tmp_path_factory.mktemp("preload"))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def chat(preload: Preload) -> Iterator[Predictor]:
    with chat_model(preload) as started:
        yield started


@pytest.fixture(scope="module")
def embed(preload: Preload) -> Iterator[Predictor]:
    with embedding_model(preload) as started:
        yield started


@pytest.fixture(scope="module")
def platform(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A running platform, one at a time because models need memory; a module's ``WINDOW`` keeps its models awake."""
    with running(tmp_path_factory.mktemp("platform"), window=getattr(request.module, "WINDOW", "600s")) as made:
        yield made


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        used = list(getattr(item, "funcargs", {}).values())
        report.sections += [(f"log of {one.name}", one.tail()) for one in used if isinstance(one, Predictor)]
        report.sections += [("logs of the platform", one.logs()) for one in used if isinstance(one, Platform)]
    return report
