"""Reads the logs of a pod: the phases of its start, the reason when that fails, and what it cannot use."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, get_args

from switchyard.local.processes import reasons
from switchyard.telemetry.metrics.families import Phase

_KNOWN = frozenset(get_args(Phase)) - {"preload", "spawn"}
_READ_BYTES = 256 * 1024  # also how much of a log's end is searched for the reason: several tracebacks


class StartLog:
    """Reads a log from its current end; opened when a start begins and closed when it is over."""

    def __init__(self, path: Path) -> None:
        path.touch()
        self._file = path.open("rb")
        self._began = self._file.seek(0, os.SEEK_END)
        self._rest = b""
        self._problems: dict[str, str] = {}
        self.verdicts = 0  # lines that told a problem, or that one is solved

    def phases(self) -> Iterator[tuple[Phase, float]]:
        """Yield the phases that were logged since the last call, each with its seconds."""
        for line in self._lines():
            if (row := _row(line)) and row.get("phase") in _KNOWN:
                yield row["phase"], float(row.get("seconds", 0))

    def problems(self) -> str:
        """Return what the process said that it cannot use, such as an edited file or a misspelled setting; or nothing.

        A line with a key ``problem`` says of what, and holds until one with the same value as ``solved``.
        """
        for line in self._lines():
            if b'"problem"' not in line and b'"solved"' not in line:  # of a thousand lines a second for requests
                continue
            row = _row(line) or {}
            self.verdicts += "problem" in row or "solved" in row
            if "problem" in row:
                self._problems[row["problem"]] = str(row.get("message", ""))
            elif "solved" in row:
                self._problems.pop(row["solved"], None)
        return "; ".join(message.replace(":\n", ": ").replace("\n", "; ") for message in self._problems.values())

    def _lines(self) -> Iterator[bytes]:
        """Yield the lines that were written since the last call."""
        if os.fstat(self._file.fileno()).st_size < self._file.tell():  # set aside, as it was long
            self._began = self._file.seek(0)
            self._rest = b""
        while data := self._file.read(_READ_BYTES):
            *lines, self._rest = (self._rest + data).split(b"\n")
            yield from lines

    def reason(self, code: int | None = None) -> str:
        """Return the sentence that says why the process ended with exit code ``code``."""
        end = os.fstat(self._file.fileno()).st_size
        begin = max(self._began if self._began <= end else 0, end - _READ_BYTES)
        return reasons.reason(os.pread(self._file.fileno(), end - begin, begin).decode(errors="replace"), code)

    def close(self) -> None:
        self._file.close()


def _row(line: bytes) -> dict[str, Any] | None:
    if not line.startswith(b"{"):
        return None
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


class PodLog:
    """Reads the logs of a pod's containers, the public one's first, from their current ends; close it after use."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._names = [path.stem for path in paths]
        self._logs = [StartLog(path) for path in paths]

    def __enter__(self) -> "PodLog":
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        for log in self._logs:
            log.close()

    def phases(self) -> Iterator[tuple[Phase, float]]:
        """Yield the phases that the public container logged since the last call."""
        return self._logs[0].phases()

    def reason(self, container: int = 0, code: int | None = None) -> str:
        """Return why a container ended with exit code ``code``."""
        return self._logs[container].reason(code)

    def name(self, container: int) -> str:
        """Return a container's name as it stands before its reason: nothing for the public one."""
        return "" if container == 0 else f"{self._names[container]}: "
