"""How much memory models may take here, and how much processes hold."""

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from switchyard.settings import SettingsError

VARIABLE = "SWITCHYARD_MEMORY"

# Of what is available when a run begins: the rest is for what else people do on their machine meanwhile.
_SHARE = 0.9
_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "": 1}
_CGROUP = Path("/sys/fs/cgroup")  # of version 2, as a container sees its own


def capacity(environ: Mapping[str, str], device: int = 0) -> int:
    """Return the bytes that models may take: ``SWITCHYARD_MEMORY``, else ``device``'s, else a share of what is free.

    Raises:
        SettingsError: the variable is neither a size such as 12Gi nor a share such as 80%.
    """
    text = environ.get(VARIABLE, "").strip()
    if not text:
        return device or int(available() * _SHARE)
    number = text.rstrip("%KMGTkiB")
    unit = text[len(number) :].removesuffix("B")
    with contextlib.suppress(ValueError):
        if unit == "%" and 0 < float(number) <= 100:
            return int((device or available()) * float(number) / 100)
        if unit in _UNITS and float(number) > 0:
            return int(float(number) * _UNITS[unit])
    raise SettingsError(f"{VARIABLE} is {text!r}: use a size such as 12Gi, or a share of what is free such as 80%")


def available(cgroup: Path = _CGROUP) -> int:
    """Return the bytes that processes of this machine, or of this container, can still take."""
    free = int(psutil.virtual_memory().available)
    try:
        limit = (cgroup / "memory.max").read_text().strip()
        used = int((cgroup / "memory.current").read_text())
    except (OSError, ValueError):
        return free
    return min(free, max(int(limit) - used, 0)) if limit.isdecimal() else free


def held(pid: int) -> int:
    """Return the bytes of a process and its descendants; what several share is divided among them."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0
    return sum(held_alone(one.pid) for one in family)


def held_alone(pid: int) -> int:
    """Return the bytes of one process; what several share is divided among them."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


class Meter:
    """Measures processes at most once in ``seconds``: a sum over a family's pages takes tens of milliseconds."""

    def __init__(self, seconds: float = 2.0) -> None:
        self._seconds = seconds
        self._known: dict[int, tuple[float, int]] = {}

    def held(self, pid: int) -> int:
        """Return the bytes of a process and its descendants, as they were a moment ago."""
        now = time.monotonic()
        until, count = self._known.get(pid, (0.0, 0))
        if now >= until:
            self._known = {other: known for other, known in self._known.items() if known[0] > now}
            count = held(pid)
            self._known[pid] = now + self._seconds, count
        return count
