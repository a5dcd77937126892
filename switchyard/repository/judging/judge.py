"""Sends folders to judging processes and returns what they find."""

import asyncio
import json
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path

import switchyard
from switchyard.repository.folder import list_files
from switchyard.repository.inspection import Surroundings
from switchyard.repository.judging.confinement import ProcessLimits
from switchyard.repository.judging.wire import LINE_BYTES, Job, Judged
from switchyard.repository.signature import UNCHECKED, SignaturePolicy
from switchyard.repository.verdict import Group, Verdict

_GRACE_SECONDS = 10.0  # the process ends a job by itself; a bit later it is stuck, and killed
_START_SECONDS = 60.0
_ENDED = "no folder is judged any more: the program ends"

logger = logging.getLogger(__name__)


class JudgeError(Exception):
    """No verdict could be had, for a reason that is not the folder's."""


class Judge:
    """Keeps up to ``processes`` judging processes, each for one folder at a time; the first starts at once."""

    def __init__(self, processes: int = 1) -> None:
        self._free = asyncio.Semaphore(processes)
        self._idle: list[_Process] = []
        self._all: set[_Process] = set()
        self._is_closed = False

    async def start(self) -> None:
        """Start a process, so that the first verdict needs not wait for its imports."""
        async with self._free:
            self._idle.append(await self._started())

    async def judge(self, job: Job) -> Judged:
        """Judge one folder.

        Raises:
            JudgeError: the process could not be started, or ended before it found anything, twice.
        """
        async with self._free:
            for last in (False, True):
                process = self._idle.pop() if self._idle else await self._started()
                try:
                    judged = await process.judge(job)
                except (OSError, EOFError, ValueError, TimeoutError) as err:
                    await self._end(process)
                    if last:
                        raise JudgeError(f"the judging process ended: {err!r}") from err
                except BaseException:  # cancelled: its result would be taken for the next job's
                    await self._end(process)
                    raise
                else:
                    self._idle.append(process)
                    return judged
        raise AssertionError

    async def aclose(self) -> None:
        """End all processes, and start none again."""
        self._is_closed = True
        for process in tuple(self._all):
            await self._end(process)

    async def _started(self) -> "_Process":
        if self._is_closed:
            raise JudgeError(_ENDED)
        try:
            process = await _Process.start()
        except (OSError, EOFError, ValueError, TimeoutError) as err:
            raise JudgeError(f"the judging process does not start: {err!r}") from err
        self._all.add(process)
        if self._is_closed:  # meanwhile
            await self._end(process)
            raise JudgeError(_ENDED)
        return process

    async def _end(self, process: "_Process") -> None:
        self._all.discard(process)
        self._idle = [idle for idle in self._idle if idle is not process]
        await process.kill()


class _Process:
    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self._child = child

    @staticmethod
    async def start() -> "_Process":
        # Nothing of the environment: it has keys, and settings of libraries that were meant for others.
        root = str(Path(next(iter(switchyard.__path__))).parent)
        environment = {
            **{name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ},
            "PYTHONPATH": root,
            "PYTHONDONTWRITEBYTECODE": "1",
            **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MALLOC_ARENA_MAX"), "1"),
            "TOKENIZERS_PARALLELISM": "false",
        }
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-s", "-P", "-m", "switchyard.repository.judging.child", str(os.getpid())),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=None,
            env=environment,
            cwd="/",
            start_new_session=True,
            limit=LINE_BYTES + 1024,
        )
        process = _Process(child)
        try:
            async with asyncio.timeout(_START_SECONDS):
                if not json.loads(await process._line())["offline"]:
                    logger.warning("judging with the network on: the kernel allows no namespace and no filter here")
        except BaseException:
            await process.kill()
            raise
        return process

    async def judge(self, job: Job) -> Judged:
        assert self._child.stdin
        self._child.stdin.write(job.dumps())
        async with asyncio.timeout(job.limits.wall_seconds + _GRACE_SECONDS):
            await self._child.stdin.drain()
            return Judged.of(json.loads(await self._line()))

    async def _line(self) -> bytes:
        assert self._child.stdout
        line = await self._child.stdout.readline()
        if not line:
            raise EOFError("no output")
        return line

    async def kill(self) -> None:
        """End it and, by their parent-death signals, its forks."""
        with suppress(ProcessLookupError):
            self._child.kill()
        await self._child.wait()


def check(
    path: Path,
    *,
    group: Group | None = None,
    name: str = "",
    surroundings: Surroundings | None = None,
    signatures: SignaturePolicy = UNCHECKED,
) -> Verdict:
    """Judge the folder at ``path`` as it would be if it were copied into the repository; nothing need run.

    Without ``group``, a folder with a config.json is a language model's. Without ``name``, it is the folder's.

    Raises:
        JudgeError: no verdict could be had, for a reason that is not the folder's.
    """
    folder = path.resolve()
    if group is None:
        group = "llm" if (folder / "config.json").is_file() else "vision"
    job = Job(
        group=group,
        name=name or folder.name,
        folder=folder,
        surroundings=surroundings or Surroundings(),
        limits=ProcessLimits.of(list_files(folder, group).bytes, group),
        signatures=signatures,
    )

    async def once() -> Judged:
        judge = Judge()
        try:
            return await judge.judge(job)
        finally:
            await judge.aclose()

    return asyncio.run(once()).verdict
