"""Forks a process for one run of a model in Python, and reads what it says.

What it says may be the model's own words: they are cut and cleaned, and decide about nothing but this version.
"""

import contextlib
import json
import os
import select
import signal
import sys
import sysconfig
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from switchyard.repository.judging import landlock
from switchyard.repository.judging.confinement import die_with_parent
from switchyard.repository.judging.python.running import DONE, PythonRun
from switchyard.repository.names import quoted, without_controls
from switchyard.repository.verdict import Fault, FaultCode

_MOST_BYTES = 64 * 1024
_MOST_NOTES = 4
_MOST_CHARACTERS = 600
_CODES = (FaultCode.SMOKE, FaultCode.PYTHON, FaultCode.LIMIT)
_ENDED_BY_LIMIT = (signal.SIGXCPU, signal.SIGKILL)


def run_python(folder: Path, version: str, config: Any, seconds: float) -> tuple[list[Fault], list[str]]:
    """Run the version once; return its faults, and notes about what it does or what could not be tried."""
    file = f"{version}/{config.default_model_filename or 'model.py'}"
    if landlock.version() < 1:
        return [], [f"{quoted(file)} was read and not run: the kernel has no Landlock to keep it from others' files."]
    rows, code = _run(folder, file, config, seconds)
    notes = [without_controls(str(row["note"]))[:_MOST_CHARACTERS] for row in rows if "note" in row][:_MOST_NOTES]
    faults = [_fault(row, folder, file, version) for row in rows if "fault" in row]
    stages = [row["stage"] for row in rows if "stage" in row]
    if not faults and code and "end" not in stages:
        faults = [_death(code, stages[-1:] == ["execute"], file, version)]
    return faults, notes


def _fault(row: Mapping[str, Any], folder: Path, file: str, version: str) -> Fault:
    named = str(row.get("file"))
    return Fault(
        code=FaultCode(row["code"]) if row.get("code") in _CODES else FaultCode.SMOKE,
        file=named if named == "config.pbtxt" or _is_below(folder, named) else file,
        version=version,
        message=without_controls(str(row["fault"]))[:_MOST_CHARACTERS],
    )


def _is_below(folder: Path, named: str) -> bool:
    return ".." not in named and (folder / named).is_file() and not os.path.isabs(named)


def _death(code: int, executed: bool, file: str, version: str) -> Fault:
    doing = "one request to" if executed else "loading"
    if -code in _ENDED_BY_LIMIT:
        message = f"{doing} {quoted(file)} took more time or memory than a check may: do less there."
        return Fault(code=FaultCode.LIMIT, file=file, version=version, message=message[0].upper() + message[1:])
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    message = f"{doing} {quoted(file)} ended its process ({how}), and would do so where it is served: correct it."
    return Fault(code=FaultCode.SMOKE, file=file, version=version, message=message[0].upper() + message[1:])


def _run(folder: Path, file: str, config: Any, seconds: float) -> tuple[list[Mapping[str, Any]], int]:
    """Return what the run said, and its exit code, negative for a signal."""
    reader, writer = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        die_with_parent(parent)
        _be_the_run(folder, file, config, writer)
    os.close(writer)
    try:
        rows = list(_rows(reader, seconds))
    finally:
        os.close(reader)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)  # if it has said all, or too much, or is late
        _, status = os.waitpid(child, 0)
    return rows, os.waitstatus_to_exitcode(status)


def _rows(reader: int, seconds: float) -> Iterator[Mapping[str, Any]]:
    deadline = time.monotonic() + seconds
    rest, received = b"", 0
    while received <= _MOST_BYTES:
        ready, _, _ = select.select([reader], [], [], max(0.0, deadline - time.monotonic()))
        if not ready or not (some := os.read(reader, _MOST_BYTES)):
            return
        received += len(some)
        *lines, rest = (rest + some).split(b"\n")
        for line in lines:
            with contextlib.suppress(ValueError):
                row = json.loads(line)
                if isinstance(row, dict):
                    yield row
                    if row.get("stage") == DONE:
                        return  # a process that the model leaves behind has the pipe, too


def _be_the_run(folder: Path, file: str, config: Any, writer: int) -> None:
    """Run in this process, which has nothing but the pipe, and end it."""

    def say(row: Mapping[str, str]) -> None:
        os.write(writer, json.dumps(row).encode() + b"\n")

    try:
        os.closerange(3, writer)
        os.closerange(writer + 1, 65536)
        landlock.only_read(_readable(folder))
        PythonRun(folder, file, config, say).run()
    except BaseException as err:
        say({"note": f"{quoted(file)} could not be tried ({''.join(traceback.format_exception_only(err)).strip()})."})
    os._exit(0)


def _readable(folder: Path) -> list[Path]:
    """Return what a run may read: the model, and what Python and its packages are made of."""
    packages = [entry for entry in sys.path if entry.endswith("-packages")]
    python = [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), os.path.join(sys.base_prefix, "lib")]
    system = ["/usr/lib", "/lib", "/lib64", "/usr/share/zoneinfo", "/dev/null", "/dev/urandom", "/etc/ld.so.cache"]
    return [folder, *map(Path, (*packages, *python, *system))]
