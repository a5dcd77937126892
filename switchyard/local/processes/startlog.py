"""Reads the logs of a starting pod: the phases that are done, and the reason when a start fails."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import get_args

from switchyard.telemetry.metrics import Phase

_KNOWN = frozenset(get_args(Phase)) - {"spawn"}
_REASON_LENGTH = 300
_READ_BYTES = 256 * 1024


class StartLog:
    """Reads a log from its current end; opened when a start begins and closed when it is over."""

    def __init__(self, path: Path) -> None:
        path.touch()
        self._file = path.open("rb")
        self._file.seek(0, 2)
        self._rest = b""
        self._last = ""

    def phases(self) -> Iterator[tuple[Phase, float]]:
        """Yield the phases that were logged since the last call, each with its seconds."""
        while data := self._file.read(_READ_BYTES):
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                if (row := self._row(line)) and row.get("phase") in _KNOWN:
                    yield row["phase"], float(row.get("seconds", 0))

    def reason(self) -> str:
        """Return the last message of the log."""
        for _ in self.phases():
            pass
        if self._rest:  # a process that is killed does not end its last line
            self._row(self._rest)
        return self._last[:_REASON_LENGTH]

    def close(self) -> None:
        self._file.close()

    def _row(self, line: bytes) -> "dict[str, Phase] | None":
        text = line.decode(errors="replace").strip()
        if text:
            self._last = text
        if not text.startswith("{"):
            return None
        try:
            row = json.loads(text)
        except ValueError:
            return None
        trace = str(row.get("traceback") or "").strip().splitlines()
        self._last = str(row.get("message") or text) + (f" ({trace[-1]})" if trace else "")
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

    def reason(self, container: int = 0) -> str:
        """Return a container's last message, after its name unless it is the public one."""
        said = self._logs[container].reason()
        return said if container == 0 else f"{self._names[container]}: {said}"
