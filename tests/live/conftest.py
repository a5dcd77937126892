"""Real processes that the live tests share; a failing test prints the log of the predictor that it used."""

from collections.abc import Generator, Iterator

import pytest

from tests.live.processes import Predictor, Preload

# Small models that may put white space anywhere between JSON's tokens put nothing else there.
NO_WHITESPACE = '--structured-outputs-config={"backend": "xgrammar", "disable_any_whitespace": true}'


@pytest.fixture(scope="session")
def preload(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Preload]:
    started = Preload(tmp_path_factory.mktemp("preload"))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def chat(preload: Preload) -> Iterator[Predictor]:
    flags = ("--enable-auto-tool-choice", "--tool-call-parser=hermes", NO_WHITESPACE)
    started = Predictor(preload, "chat-fast", *flags)
    yield started.wait_ready()
    started.stop()


@pytest.fixture(scope="module")
def embed(preload: Preload) -> Iterator[Predictor]:
    started = Predictor(preload, "embed", "--runner=pooling", "--max-model-len=256")
    yield started.wait_ready()
    started.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        used = [value for value in getattr(item, "funcargs", {}).values() if isinstance(value, Predictor)]
        report.sections += [(f"log of {one.name}", one.tail()) for one in used]
    return report
