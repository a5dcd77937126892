"""A parent process that has done the heavy imports and forks one child per model.

The program is ``python -m predictors.serving.preload --socket PATH --import MODULE…``; it listens once its imports are
done. One connection is one child: the reply to a JSON line ``{"module", "argv", "env", "log", "cwd"}`` is
``{"pid": n}`` and, when the child ends, ``{"exit": code}``; or ``{"error": why}``. A broken connection means that the
children are dead too, and a connection that is closed ends its child.
"""

import asyncio
import contextlib
import json
import logging
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from switchyard.backoff import ConsecutiveFailures
from switchyard.local.processes.launch import (
    Launcher,
    LaunchError,
    LaunchSpec,
    Process,
    end_group,
    kill_all,
    signal_process,
)
from switchyard.local.processes.preload_declaration import Preload

PROGRAM = "predictors.serving.preload"
NAME = "preload"  # of its log, and in the status
WAITS = "its start waits for the imports that models share, which began with `up`"

_POLL_SECONDS = 0.05
_STOP_SECONDS = 5.0
# Half of a start's default progress deadline, and ten times what the imports of torch and vLLM take on two cores: an
# import that takes longer hangs.
_IMPORT_SECONDS = 300.0
# A parent that ran this long did not fail at its start, so its backoff starts anew.
_STABLE_SECONDS = 30.0

logger = logging.getLogger(__name__)


def module_of(argv: Sequence[str], python: str) -> str | None:
    """Return the module that a command line runs with ``python -m``, None for any other command."""
    return argv[2] if len(argv) > 2 and argv[0] == python and argv[1] == "-m" else None


class ForkedProcess:
    """A child of the preloaded parent, known by its process id and the connection that reports its end."""

    def __init__(self, pid: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._pid = pid
        self._end = asyncio.ensure_future(self._await_end(reader, writer))

    @property
    def pid(self) -> int:
        return self._pid

    async def wait(self) -> int:
        return await asyncio.shield(self._end)

    def terminate(self) -> None:
        if not self._end.done():
            signal_process(self._pid, signal.SIGTERM)

    def kill(self) -> None:
        if not self._end.done():
            kill_all(self._pid)

    async def _await_end(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        code = -int(signal.SIGKILL)  # without a report the parent is dead, and the kernel has killed its children
        try:
            line = await reader.readline()
            if line:
                code = int(json.loads(line)["exit"])
        except (OSError, ValueError, KeyError) as err:
            logger.warning("lost the preloaded parent of process %d: %s", self._pid, err)
        finally:
            await end_group(self._pid)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        return code


class PreloadedLauncher:
    """Forks known modules from a preloaded parent and spawns other commands; restarts the parent when it dies.

    ``preloads`` maps a module to what its package declares. ``on_pid`` gets the process id of each parent, ``on_ready``
    the seconds that its imports took, ``on_end`` why it ended.
    """

    def __init__(
        self,
        *,
        spawn: Launcher,
        preloads: Mapping[str, Preload],
        python: str,
        socket: Path,
        spec: LaunchSpec,
        failures: ConsecutiveFailures,
        on_pid: Callable[[int], None],
        on_ready: Callable[[float], None],
        on_end: Callable[[str], None],
        import_seconds: float = _IMPORT_SECONDS,
    ) -> None:
        self._spawn = spawn
        self._preloads = preloads
        self._python = python
        self._socket = socket
        self._spec = spec
        self._failures = failures
        self._on_pid = on_pid
        self._on_ready = on_ready
        self._on_end = on_end
        self._import_seconds = import_seconds
        self._settled = asyncio.Event()  # set when the parent listens, or has died
        self._listening = False
        self.process: Process | None = None

    async def prepare(self, argv: Sequence[str], on_wait: Callable[[str], None]) -> bool:
        preload = self._preloads.get(module_of(argv, self._python) or "")
        if preload is None or not preload.wait or self._settled.is_set():
            return False
        on_wait(WAITS)
        await self._settled.wait()
        return True

    async def launch(self, spec: LaunchSpec) -> Process:
        module = module_of(spec.argv, self._python)
        if module is None or module not in self._preloads:
            return await self._spawn.launch(spec)
        # Without a parent that listens, a separate process is slower but serves.
        if self._listening:
            try:
                return await self._fork(module, spec)
            except (OSError, ValueError, KeyError) as err:
                logger.warning("%s: fork failed, starting a separate process: %s", spec.name, err)
        return await self._spawn.launch(spec)

    async def _fork(self, module: str, spec: LaunchSpec) -> Process:
        reader, writer = await asyncio.open_unix_connection(str(self._socket))
        request = {
            "module": module,
            "argv": list(spec.argv[3:]),
            "env": dict(spec.env),
            "log": str(spec.log),
            "cwd": str(spec.cwd),
        }
        try:
            writer.write(json.dumps(request).encode() + b"\n")
            reply = json.loads(await reader.readline())
            if "error" in reply:
                raise ValueError(reply["error"])
            return ForkedProcess(int(reply["pid"]), reader, writer)
        except BaseException:  # a cancellation too: a child that is not returned has no other owner, and this ends it
            writer.close()
            raise

    async def run(self) -> None:
        """Keep the parent running until cancelled, then stop it."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            code = await self._one_life()
            self._listening = False
            self._settled.set()  # until a parent listens again, starts are separate processes rather than late ones
            if loop.time() - began > _STABLE_SECONDS:
                self._failures.reset()
            pause = self._failures.add()
            self._on_end(f"ended with {code}; models start without it for {pause:.1f} s")
            logger.warning(
                "the preloaded parent ended with %s; models start without it for %.1f s (see %s)",
                code,
                pause,
                self._spec.log,
            )
            await asyncio.sleep(pause)

    async def _one_life(self) -> int | str:
        # One that a killed parent left would look like a parent that listens.
        self._socket.unlink(missing_ok=True)
        try:
            self.process = await self._spawn.launch(self._spec)
        except LaunchError as err:
            return str(err)
        self._on_pid(self.process.pid)
        end = asyncio.ensure_future(self.process.wait())
        try:
            loop = asyncio.get_running_loop()
            began = loop.time()
            deadline = began + self._import_seconds
            # The parent renames its socket into place once it listens, so the path's existence means readiness.
            while not end.done() and not self._socket.exists():
                if loop.time() > deadline:
                    return f"imports that took over {self._import_seconds:.0f} s"
                await asyncio.wait({end}, timeout=_POLL_SECONDS)
            self._listening = not end.done()
            self._settled.set()
            if self._listening:
                self._on_ready(loop.time() - began)
            return await asyncio.shield(end)
        finally:
            if not end.done():
                self.process.terminate()
                await asyncio.wait({end}, timeout=_STOP_SECONDS)
                self.process.kill()
                await end
            self.process = None
            self._socket.unlink(missing_ok=True)


def launch_spec(
    *, python: str, socket: Path, preloads: Mapping[str, Preload], env: Mapping[str, str], root: Path, log: Path
) -> LaunchSpec:
    """Return how to start the preloaded parent."""
    modules = sorted({module for preload in preloads.values() for module in preload.modules})
    return LaunchSpec(
        name=NAME,
        argv=(python, "-m", PROGRAM, "--socket", str(socket), "--import", *modules),
        env=env,
        cwd=root,
        log=log,
    )
