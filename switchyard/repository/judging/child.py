"""The judging process: ``python -m switchyard.repository.judging.child PARENT_PID`` imports once and forks per folder.

It reads jobs and writes results as JSON lines, one at a time. A fork has the imports of its parent, so that a small
model's verdict takes a few 100 ms, and nothing that a folder did to one fork reaches the next.
"""

import contextlib
import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

from switchyard.repository.judging.confinement import (
    adopt_orphans,
    die_with_parent,
    end_children,
    leave_network,
    limit,
)
from switchyard.repository.judging.wire import LINE_BYTES, Job, Judged
from switchyard.repository.verdict import Fault, FaultCode, Verdict

_JudgeFolder = Callable[[Job, Callable[[str, float | None], None]], Judged]

_LIMITS = {signal.SIGXCPU: "time", signal.SIGXFSZ: "files", signal.SIGKILL: "memory or time"}


def main() -> None:
    die_with_parent(int(sys.argv[1]))
    results = os.dup(1)
    os.set_inheritable(results, False)
    os.dup2(2, 1)  # what a library prints is no result
    adopt_orphans()
    offline = leave_network()
    # After the above, which only a process without threads may: ONNX Runtime starts one, which then sleeps, so that no
    # fork finds a lock of it held.
    from switchyard.repository.judging.stages import judge

    _write(results, {"offline": offline})
    for line in sys.stdin.buffer:
        job = Job.loads(line)
        _write(results, _run(job, judge, results))


def _run(job: Job, judge: _JudgeFolder, results: int) -> dict[str, Any]:
    """Judge in a fork; what ends that is a verdict, too."""
    reader, writer = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        die_with_parent(parent)
        os.close(results)
        nothing = os.open(os.devnull, os.O_RDWR)
        for handle in (0, 1, 2):
            os.dup2(nothing, handle)
        _judge(job, judge, writer)
    os.close(writer)
    # Both do it, so that the group exists for whichever of them comes first.
    with contextlib.suppress(PermissionError, ProcessLookupError):
        os.setpgid(child, child)
    lines = _read(reader, job.limits.wall_seconds)
    os.close(reader)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    end_children()
    rows = [json.loads(line) for line in lines]
    if rows and "verdict" in rows[-1]:
        return dict(rows[-1])
    stage = rows[-1]["stage"] if rows else "start"
    if "error" in (rows[-1] if rows else ()):
        print(f"judging {job.name!r} failed: {rows[-1]['error']}", file=sys.stderr)
    return Judged(verdict=_death(job, stage, os.waitstatus_to_exitcode(status))).row()


def _judge(job: Job, judge: _JudgeFolder, writer: int) -> None:
    """Judge in this process, and end it."""
    try:
        limit(job.limits)
        judged = judge(job, lambda stage, seconds: _write(writer, {"stage": stage, "seconds": seconds}))
        _write(writer, judged.row())
    except MemoryError:
        os.kill(os.getpid(), signal.SIGKILL)  # as where the kernel notices it
    except BaseException as err:
        _write(writer, {"stage": "error", "error": "".join(traceback.format_exception(err))[-4000:]})
    os._exit(0)


def _read(reader: int, seconds: float) -> list[bytes]:
    """Return the whole lines that came before the end, a deadline or the bound on bytes.

    A line that begins a stage may have a deadline for it.
    """
    end = deadline = time.monotonic() + seconds
    lines: list[bytes] = []
    rest, received = b"", 0
    while received <= LINE_BYTES:
        ready, _, _ = select.select([reader], [], [], max(0.0, deadline - time.monotonic()))
        if not ready or not (some := os.read(reader, 1 << 20)):
            break
        received += len(some)
        *found, rest = (rest + some).split(b"\n")
        for line in found:
            if line.startswith(b'{"stage"'):
                most = json.loads(line).get("seconds")
                deadline = end if most is None else min(end, time.monotonic() + most)
        lines += found
    return lines


def _death(job: Job, stage: str, code: int) -> Verdict:
    """Return the verdict on a folder at whose reading or running the process ended."""
    doing = {"smoke": "Running the model once", "hash": "Reading the files"}.get(stage, "Reading the model's files")
    number = -code if code < 0 else 0
    if number in _LIMITS:
        message = (
            f"{doing} took more {_LIMITS[signal.Signals(number)]} than a check may: make the model, or its inputs in "
            "config.pbtxt, smaller."
        )
        fault = Fault(code=FaultCode.LIMIT, message=message)
    elif number:
        name = signal.Signals(number).name
        message = f"{doing} crashed ({name}), and would do so where it is served: export the model again."
        fault = Fault(code=FaultCode.SMOKE if stage == "smoke" else FaultCode.UNREADABLE, message=message)
    else:
        message = "The check itself failed on this folder, for a reason that its log has: report it to Switchyard."
        fault = Fault(code=FaultCode.UNREADABLE, message=message)
    return Verdict(group=job.group, name=job.name, digest="", faults=(fault,))


def _write(handle: int, row: dict[str, Any]) -> None:
    view = memoryview(json.dumps(row).encode() + b"\n")
    while view:
        view = view[os.write(handle, view) :]


if __name__ == "__main__":
    main()
