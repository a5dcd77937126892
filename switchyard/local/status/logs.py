"""Reads the logs of runs: one process's or all by time, and of those the lines that carry a request's id."""

import heapq
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from operator import itemgetter
from pathlib import Path

from switchyard.local.errors import LocalError
from switchyard.local.program import program
from switchyard.local.status.run_directory import StateDirectory

_FOLLOW_SECONDS = 0.2

ProcessOf = Callable[[str], str]  # which serves a model; empty for none


def lines(
    directory: StateDirectory,
    name: str | None,
    *,
    earlier: bool,
    follow: bool,
    request: str | None,
    process_of: ProcessOf = lambda model: "",
) -> Iterator[bytes]:
    """Yield the lines of the last run's log ``name``, or of all its logs in order of time.

    ``earlier`` adds the runs before it, ``follow`` what is appended later; ``request`` chooses the lines with this id.
    Who asks for a model without a log of its own is told the process that serves it, as ``process_of`` says.

    Raises:
        LocalError: there is no such log.
    """
    runs = directory.runs() if earlier else [directory.logs]
    chosen = [paths for folder in runs if (paths := _paths(folder, name))]
    if not chosen:
        raise _no_log(directory, name, process_of, earlier=earlier)
    with ExitStack() as stack:
        logs = [[stack.enter_context(closing(_Log(path))) for path in paths] for paths in chosen]
        yield from _lines(logs, _pattern(request), follow=follow, headed=request is None)


def _pattern(request: str | None) -> re.Pattern[bytes]:
    """Return what the lines of a request match. The ids that an engine makes hold the request's: chatcmpl-<id>."""
    return re.compile(b"" if request is None else rb"(?<![A-Za-z0-9])%b(?![A-Za-z0-9])" % re.escape(request.encode()))


def _lines(
    logs: Sequence[Sequence["_Log"]], wanted: re.Pattern[bytes], *, follow: bool, headed: bool
) -> Iterator[bytes]:
    for number, of_run in enumerate(logs, 1):
        if headed and len(logs) > 1:
            yield f"--- run {number} of {len(logs)}\n".encode()
        yield from filter(wanted.search, _merged(of_run, whole=not follow))
    while follow:
        time.sleep(_FOLLOW_SECONDS)
        yield from filter(wanted.search, _merged(logs[-1], whole=False))


class _Log:
    """One log, read to its end again and again; when the next run has replaced it, that run's."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb")
        self._time = ""

    def lines(self, *, whole: bool) -> Iterator[tuple[str, bytes]]:
        """Yield each new line with the time of the last record up to it; ``whole`` if an unfinished one counts."""
        while line := self._file.readline():
            if not whole and not line.endswith(b"\n"):
                self._file.seek(-len(line), os.SEEK_CUR)
                return
            self._time = _time_of(line) or self._time
            yield self._time, line
        if self._path.exists() and not os.path.samestat(self._path.stat(), os.fstat(self._file.fileno())):
            self._file.close()
            self._file = self._path.open("rb")

    def close(self) -> None:
        self._file.close()


def _merged(logs: Sequence[_Log], *, whole: bool) -> Iterator[bytes]:
    for _, line in heapq.merge(*(log.lines(whole=whole) for log in logs), key=itemgetter(0)):
        yield line


def _time_of(line: bytes) -> str:
    """Return the time of a JSON record, as text that sorts; empty for other lines."""
    if not line.startswith(b"{"):
        return ""
    try:
        row = json.loads(line)
    except ValueError:
        return ""
    return str(row.get("time", "")) if isinstance(row, dict) else ""


def _paths(folder: Path, name: str | None) -> list[Path]:
    if name is None:
        return sorted(folder.glob("*.log"))
    path = folder / f"{name}.log"
    return [path] if path.name == f"{name}.log" and path.parent == folder and path.is_file() else []


def no_request(request: str, *, earlier: bool) -> LocalError:
    """Return the error for an id that no line has."""
    more = "" if earlier else f"; `{program()} logs --all --request {request}` searches earlier runs too"
    return LocalError(f"no line of the logs has the request id {request}{more}")


def _no_log(directory: StateDirectory, name: str | None, process_of: ProcessOf, *, earlier: bool) -> LocalError:
    if name is None:
        return LocalError(f"there are no logs yet in {directory.path}; `{program()} up` makes some")
    if not earlier and any(_paths(folder, name) for folder in directory.runs()):
        return LocalError(f"{name} has no log of the last run; `{program()} logs --all {name}` prints earlier ones")
    if process := process_of(name):
        return LocalError(f"{name} is served by {process}; `{program()} logs {process}` prints what that said")
    known = ", ".join(path.stem for path in _paths(directory.logs, None)) or "none"
    return LocalError(f"there is no log of {name!r}; there are: {known}")
