"""What all tests share."""

import os

import pytest
from hypothesis import settings

# `make test` and `pytest` are to see the same: what make tells its commands would reach the makes and programs that
# tests start (a nested make says where it enters; the program names itself by its path), and so would the size of a
# terminal that pytest-xdist tells its workers, who have none.
for variable in ("MAKELEVEL", "MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "COLUMNS", "LINES"):
    os.environ.pop(variable, None)

# Machines that run tests are busy: how long an example takes says nothing about the code.
settings.register_profile("switchyard", deadline=None)
settings.register_profile("all", deadline=None, max_examples=1000)  # for `make test-all`: ten times as many
# A test that wants another number says how many times that of the profile, ``settings().max_examples``.
settings.load_profile("switchyard")


class _FailuresAtOnce:
    """Prints what failed when it failed: whoever ends a run that takes too long has these lines."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self._terminal = terminal

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            message = report.longreprtext.splitlines()[-1:] or [""]
            self._terminal.write_line(
                f"\n{report.nodeid} failed its {report.when} after {report.duration:.0f} s: {message[0]}"
            )


@pytest.hookimpl(trylast=True)  # the terminal comes after a conftest
def pytest_configure(config: pytest.Config) -> None:
    terminal = config.pluginmanager.getplugin("terminalreporter")
    if terminal is not None:  # a worker of pytest-xdist has none
        config.pluginmanager.register(_FailuresAtOnce(terminal))
