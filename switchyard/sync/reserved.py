"""Names that models may not have, because services outside of the repository have them."""

import asyncio
import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from switchyard.files import read_file
from switchyard.repository.names import reserved_in
from switchyard.repository.verdict import Group

POLL_SECONDS = 1.0
_MOST_BYTES = 4 << 20

logger = logging.getLogger(__name__)


class ReservedNames:
    """Reads a JSON object of each name and whose it is, such as ``{"complexity": "InferenceService complexity"}``.

    ``vision/complexity`` would be reserved in the group vision alone.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stamp: object = None
        self.names: Mapping[str, str] = {}
        self._read()

    def of(self, group: Group) -> Mapping[str, str]:
        """Return the names that no model of ``group`` may have."""
        return reserved_in(group, self.names)

    async def follow(self, on_change: Callable[[set[str]], None]) -> None:
        """Pass on the names that were added to the file or removed from it."""
        while self._path:
            await asyncio.sleep(POLL_SECONDS)
            before = set(self.names)
            if await asyncio.to_thread(self._read) and (changed := before ^ set(self.names)):
                on_change({key.rpartition("/")[2] for key in changed})

    def _read(self) -> bool:
        """Read the file if it changed; one that cannot be read changes nothing."""
        if self._path is None:
            return False
        try:
            found = os.stat(self._path)
            stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
            if stamp == self._stamp:
                return False
            self._stamp = stamp
            names = json.loads(read_file(self._path, _MOST_BYTES))
            self.names = {str(name): str(owner) for name, owner in names.items()}
        except FileNotFoundError:
            self.names, self._stamp = {}, None
        except (OSError, ValueError, AttributeError) as err:
            logger.error("%s has no names: %s", self._path, err)
            return False
        return True
