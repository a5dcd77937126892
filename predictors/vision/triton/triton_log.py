"""Triton's log, in a file that both containers have: written on to this container's log, and searched for reasons."""

import asyncio
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path

NOT_POLLED = "failed to poll from model repository"  # all that Triton says to clients of a folder that it cannot read

_LINE = re.compile(r'^([IWEF])\d{4} [\d:.]+ \d+ \S+\] "?(.*?)"?$')
_LEVELS: Mapping[str, int] = {"W": logging.WARNING, "E": logging.ERROR, "F": logging.CRITICAL}
_SECONDS = 1.0  # between looks at the file, as late as its lines may appear in the log
_READ_BYTES = 1024 * 1024  # at once; more in a second waits for the next look
_MAX_BYTES = 16 * 1024 * 1024  # then the file is emptied: Triton appends to it, and everything in it was passed on

logger = logging.getLogger("triton")


class TritonLog:
    """The file at ``path``, written by Triton's --log-file; an empty path is no file."""

    def __init__(self, path: str) -> None:
        self._path = Path(path) if path else None
        self._passed_on = self.size()

    def size(self) -> int:
        """Return the length of the file in bytes."""
        try:
            return os.stat(self._path).st_size if self._path else 0
        except OSError:
            return 0

    def reason(self, model: str, since: int) -> str:
        """Return why Triton could not poll a model's folder, from the lines after byte ``since``; empty if unknown."""
        found = re.findall(rf"Poll failed for model directory '{re.escape(model)}': (.*?)\"?$", self._read(since), re.M)
        return str(found[-1]) if found else ""

    async def run(self) -> None:
        """Write what Triton logs to this process's log, until cancelled."""
        while self._path:
            await asyncio.sleep(_SECONDS)
            self.pass_on()

    def pass_on(self) -> None:
        """Write the whole lines that were added since the last time."""
        if self._passed_on > self.size():  # Triton was started with a new file
            self._passed_on = 0
        text, complete, rest = self._read(self._passed_on).rpartition("\n")
        if not complete and len(rest) == _READ_BYTES:  # a line without end
            text = rest
        self._passed_on += len((text + complete).encode("utf-8", "surrogateescape"))
        for line in filter(None, text.split("\n")):
            parsed = _LINE.match(line)
            logger.log(_LEVELS.get(parsed[1], logging.INFO) if parsed else logging.INFO, parsed[2] if parsed else line)
        if self._path and self._passed_on > _MAX_BYTES and self._passed_on == self.size():
            os.truncate(self._path, 0)
            self._passed_on = 0

    def _read(self, since: int) -> str:
        if not self._path:
            return ""
        try:
            with self._path.open("rb") as file:
                file.seek(since)
                return file.read(_READ_BYTES).decode("utf-8", "surrogateescape")
        except OSError:
            return ""
