"""Follows ``tenants.yaml``: what is valid is in force within a second, what is not leaves the last that was."""

import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import Protocol

import orjson

from switchyard.gateway.tenants.directory import Directory
from switchyard.gateway.tenants.shown import INVALID
from switchyard.settings import SettingsError

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
_READ_SECONDS = 60.0  # for the reader: a file of 64 MiB of YAML would take longer, which JSON need not
_ROW_BYTES = 1024 * 1024  # of the reader's lines, each of ``KEYS_PER_ROW`` keys
_PAUSE_ROWS = 100  # 2 ms of the loop, then others have their turn

_Stamp = tuple[int, int, int]


class TenantsError(SettingsError):
    """``tenants.yaml`` cannot be used; the message has the file, the places in it and sentences."""


class OnRead(Protocol):
    """Is told of each reading of the file: whether it is in force now, and what is."""

    def __call__(self, directory: Directory, *, valid: bool) -> None: ...


class TenantsFile:
    """The tenants of a file, which may be replaced at any time, as a ConfigMap's or Secret's volume does.

    ``has_store`` says whether limits can be counted; a file with limits is not valid without. ``problem`` is why the
    last edit is not in force, empty if it is.
    """

    def __init__(self, path: Path, *, has_store: bool = True) -> None:
        self.path = path
        self._has_store = has_store
        self._stamp: _Stamp | None = None
        self.current = Directory()
        self.problem = ""
        self.on_read: OnRead = _ignore

    async def load(self) -> None:
        """Read the file for the first time.

        Raises:
            TenantsError: it cannot be used.
        """
        self._stamp = self._look()
        self.current = await self._read()
        self._tell(valid=True)

    async def follow(self) -> None:
        """Read the file again whenever it has changed, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            stamp = self._look()
            if stamp == self._stamp:
                continue
            self._stamp = stamp
            try:
                self.current = await self._read()
            except TenantsError as err:
                logger.error("the last valid tenants stay in force: %s", err, extra={"problem": "tenants"})
                self.problem = str(err)
                self._tell(valid=False)
            else:
                self.problem = ""
                self._tell(valid=True)
                counts = {"tenants": len(self.current.tenants), "keys": len(self.current)}
                logger.info("tenants read", extra={**counts, "solved": "tenants"})

    def _tell(self, *, valid: bool) -> None:
        self.on_read(self.current, valid=valid)

    def _look(self) -> _Stamp | None:
        """Return what changes with the file: a volume swaps a link, so its target is looked at."""
        try:
            stat = os.stat(self.path)
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_ino, stat.st_size

    async def _read(self) -> Directory:
        reader = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "switchyard.gateway.tenants.reader", str(self.path)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_ROW_BYTES,
        )
        try:
            async with asyncio.timeout(_READ_SECONDS):
                directory = await _collected(reader)
                assert reader.stderr is not None
                problems = (await reader.stderr.read()).decode(errors="replace").strip()
                if (status := await reader.wait()) != 0:
                    # What a process that failed in another way wrote may have parts of the file.
                    why = problems if status == INVALID else f"its reader ended with {status}: it may be nested deeply"
                    raise TenantsError(f"{self.path} cannot be used:\n{why}")
        except TimeoutError as err:
            raise TenantsError(f"{self.path} took longer than {_READ_SECONDS:g} s to read; write it as JSON") from err
        finally:
            if reader.returncode is None:
                reader.kill()
                await reader.wait()
        if directory.has_limits and not self._has_store:
            raise TenantsError(
                f"{self.path} has limits, and there is no store to count in: set SWITCHYARD_STORE to "
                "sqlite:///path/to/file, or to redis://host:port where there are several gateways"
            )
        return directory


async def _collected(reader: asyncio.subprocess.Process) -> Directory:
    directory, count = Directory(), 0
    assert reader.stdout is not None
    async for line in reader.stdout:
        directory.add(orjson.loads(line))
        count += 1
        if count % _PAUSE_ROWS == 0:
            await asyncio.sleep(0)
    return directory


def _ignore(directory: Directory, *, valid: bool) -> None:
    """Tell nobody."""
