"""Reads the logs of runs: one process's or all by time, and of those the lines of a request, a trace or a tenant."""

import heapq
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from switchyard.local.errors import LocalError
from switchyard.local.program import program
from switchyard.local.status.rotation import aside
from switchyard.local.status.run_directory import StateDirectory

_FOLLOW_SECONDS = 0.2
_TIME = re.compile(rb'\{"time": ?"([0-9T:.+-]{1,40})"')  # as ours begin, which need not be parsed to be put in order
_LONGEST_LINE = 1024 * 1024  # bytes; what is longer is printed in parts, as no line of ours is

ProcessOf = Callable[[str], str]  # which serves a model; empty for none


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Which lines are wanted: those that have all that is not empty."""

    request: str = ""
    trace: str = ""
    tenant: str = ""

    def __bool__(self) -> bool:
        return bool(self.request or self.trace or self.tenant)

    def __str__(self) -> str:
        named = (("request id", self.request), ("trace id", self.trace), ("tenant", self.tenant))
        return " and ".join(f"{name} {value}" for name, value in named if value)

    def options(self) -> str:
        """Return them as they are given to the command."""
        return " ".join(f"--{name} {value}" for name in self.__slots__ if (value := getattr(self, name)))

    def patterns(self) -> tuple[re.Pattern[bytes], ...]:
        """Return what a line must match. The ids that an engine makes hold the request's: chatcmpl-<id>."""
        ids = [rb"(?<![A-Za-z0-9])%b(?![A-Za-z0-9])" % re.escape(one.encode()) for one in (self.request, self.trace)]
        tenant = rb'"tenant": ?%b' % re.escape(json.dumps(self.tenant).encode())
        named = zip((self.request, self.trace, self.tenant), (*ids, tenant), strict=True)
        return tuple(re.compile(pattern) for value, pattern in named if value)


def lines(
    directory: StateDirectory,
    name: str | None,
    *,
    earlier: bool,
    follow: bool,
    wanted: Wanted,
    process_of: ProcessOf = lambda model: "",
) -> Iterator[bytes]:
    """Yield the lines of the last run's log ``name``, or of all its logs in order of time.

    ``earlier`` adds the runs before it, ``follow`` what is appended later; ``wanted`` chooses lines.
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
        yield from _lines(logs, wanted.patterns(), follow=follow)


def _lines(logs: Sequence[Sequence["_Log"]], patterns: Sequence[re.Pattern[bytes]], *, follow: bool) -> Iterator[bytes]:
    def wanted(line: bytes) -> bool:
        return all(pattern.search(line) for pattern in patterns)

    for number, of_run in enumerate(logs, 1):
        if not patterns and len(logs) > 1:
            yield f"--- run {number} of {len(logs)}\n".encode()
        yield from filter(wanted, _merged(of_run, whole=not follow))
    while follow:
        time.sleep(_FOLLOW_SECONDS)
        yield from filter(wanted, _merged(logs[-1], whole=False))


class _Log:
    """One log, read to its end again and again; when the next run has replaced it, that run's."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb")
        self._time = ""
        self._begun = False

    def lines(self, *, whole: bool) -> Iterator[tuple[str, bytes]]:
        """Yield each new line with the time of the last record up to it; ``whole`` if an unfinished one counts."""
        if not self._begun or os.fstat(self._file.fileno()).st_size < self._file.tell():  # set aside, as it was long
            self._begun = True
            yield from self._rest_of(aside(self._path))
            self._file.seek(0)
        while line := self._file.readline(_LONGEST_LINE):
            if not whole and not line.endswith(b"\n") and len(line) < _LONGEST_LINE:
                self._file.seek(-len(line), os.SEEK_CUR)
                return
            self._time = _time_of(line) or self._time
            yield self._time, line
        if self._path.exists() and not os.path.samestat(self._path.stat(), os.fstat(self._file.fileno())):
            self._file.close()
            self._file = self._path.open("rb")

    def _rest_of(self, path: Path) -> Iterator[tuple[str, bytes]]:
        with suppress(FileNotFoundError), path.open("rb") as earlier:
            earlier.seek(self._file.tell())
            while line := earlier.readline(_LONGEST_LINE):
                self._time = _time_of(line) or self._time
                yield self._time, line

    def close(self) -> None:
        self._file.close()


def _merged(logs: Sequence[_Log], *, whole: bool) -> Iterator[bytes]:
    for _, line in heapq.merge(*(log.lines(whole=whole) for log in logs), key=itemgetter(0)):
        yield line


def _time_of(line: bytes) -> str:
    """Return the time of a JSON record, as text that sorts; empty for other lines."""
    if not line.startswith(b"{"):
        return ""
    if found := _TIME.match(line):
        return found[1].decode()
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


def none_found(wanted: Wanted, *, earlier: bool) -> LocalError:
    """Return the error for what no line has."""
    more = "" if earlier else f"; `{program()} logs --all {wanted.options()}` searches earlier runs too"
    return LocalError(f"no line of the logs has the {wanted}{more}")


def _no_log(directory: StateDirectory, name: str | None, process_of: ProcessOf, *, earlier: bool) -> LocalError:
    if name is None:
        return LocalError(f"there are no logs yet in {directory.path}; `{program()} up` makes some")
    if not earlier and any(_paths(folder, name) for folder in directory.runs()):
        return LocalError(f"{name} has no log of the last run; `{program()} logs --all {name}` prints earlier ones")
    if process := process_of(name):
        return LocalError(f"{name} is served by {process}; `{program()} logs {process}` prints what that said")
    known = ", ".join(path.stem for path in _paths(directory.logs, None)) or "none"
    return LocalError(f"there is no log of {name!r}; there are: {known}")
