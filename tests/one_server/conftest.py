"""Each process is started once, and only if a test wants it."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.one_server.processes import STARTED_BY, Process


class Started:
    """The processes that run so far."""

    def __init__(self, folders: pytest.TempPathFactory, stack: ExitStack) -> None:
        self._folders = folders
        self._stack = stack
        self._processes: dict[str, Process] = {}

    def get(self, name: str) -> Process:
        if name not in self._processes:
            starting: Any = STARTED_BY[name](self._folders.mktemp("process"))
            self._processes |= self._stack.enter_context(starting)
        return self._processes[name]


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    with ExitStack() as stack:
        yield Started(tmp_path_factory, stack)


@pytest.fixture(params=STARTED_BY)
def process(request: pytest.FixtureRequest, started: Started) -> Process:
    return started.get(request.param)
