"""A parent process with the heavy imports done that forks one child per model: a start takes seconds, not a minute.

``python -m predictors.serving.preload --socket PATH --import MODULE …`` listens on a unix socket once the imports are
done. Each connection carries one JSON line ``{"module", "argv", "env", "log", "cwd"}``; the reply is ``{"pid": N}`` at
once and ``{"exit": code}`` when that child has ended (negative: the signal), or ``{"error": why}``. A child whose
connection is closed is killed: nobody owns it. Children share the parent's memory pages.
"""

import argparse
import contextlib
import gc
import importlib
import json
import logging
import os
import runpy
import selectors
import signal
import socket
import sys
import traceback
from typing import Any

from predictors.serving.parent_death import die_with_parent
from switchyard.telemetry import logs

logger = logging.getLogger(__name__)


class Preload:
    """Forks children on request; single-threaded, because a fork copies only the thread that calls it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._selector = selectors.DefaultSelector()
        self._waiting: dict[int, socket.socket] = {}
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._woken, waker = socket.socketpair()
        self._woken.setblocking(False)
        waker.setblocking(False)
        self._waker = waker

    def serve(self) -> None:
        """Fork on request until SIGTERM; never returns in a child."""
        staged = f"{self._path}.new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(staged)
        self._listener.bind(staged)
        os.chmod(staged, 0o600)
        self._listener.listen(16)
        os.rename(staged, self._path)  # renamed last: whoever sees the path can connect
        # A child's end is read from a socket, so that one ``select`` waits for both. The handler does nothing, but
        # without one Python would write no byte to it.
        signal.set_wakeup_fd(self._waker.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj is self._woken:
                    self._reap()
                else:
                    self._abandon(key.data)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        try:
            with connection.makefile("rb") as reader:
                # This may block all else: the socket's mode lets in only its owner, the supervisor, which sends its
                # line at once.
                request = json.loads(reader.readline())
            pid = self._fork(request)
        except (ValueError, KeyError, TypeError, OSError) as err:
            _send(connection, {"error": f"{type(err).__name__}: {err}"})
            connection.close()
            return
        self._waiting[pid] = connection
        self._selector.register(connection, selectors.EVENT_READ, pid)  # readable: closed, as nothing more is sent
        _send(connection, {"pid": pid})

    def _fork(self, request: dict[str, Any]) -> int:
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            parent = os.getpid()
            pid = os.fork()
            if pid:
                return pid
            self._become(request, log, parent)
        finally:
            os.close(log)
        raise AssertionError("a child never gets here")

    def _become(self, request: dict[str, Any], log: int, parent: int) -> None:
        """Turn the forked child into ``python -m module argv…``."""
        code = 1
        try:
            # First of all: a child that outlived this parent would be one that nobody knows.
            die_with_parent(parent)
            # A session of its own: Ctrl-C in the terminal reaches the supervisor alone, which then stops children in
            # order and ends what is left of each by its group.
            os.setsid()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.dup2(log, 1)
            os.dup2(log, 2)
            # The fork copied them. Left open, they would keep the supervisor from seeing the parent's death, which it
            # tells by a broken connection.
            for connection in (*self._waiting.values(), self._listener, self._woken, self._waker):
                connection.close()
            self._selector.close()
            os.chdir(request["cwd"])
            # The child has the request's environment alone, as a separate process would; what libraries read at import
            # they have read in the parent.
            os.environ.clear()
            os.environ.update(request["env"])
            sys.argv = [request["module"], *request["argv"]]
            runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
            if isinstance(end.code, str):
                print(end.code, file=sys.stderr)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            # Not ``sys.exit``, which would unwind the parent's frames below this one and run its exit handlers.
            os._exit(code)

    def _reap(self) -> None:
        self._woken.recv(4096)
        # Signals of one kind coalesce: a single wake-up may stand for several ends.
        with contextlib.suppress(ChildProcessError):  # there are no more children
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if pid in self._waiting:
                    _send(self._waiting[pid], {"exit": os.waitstatus_to_exitcode(status)})
                    self._close(pid)

    def _abandon(self, pid: int) -> None:
        """Kill a child whose owner closed the connection; ``_reap`` sees its end."""
        if pid in self._waiting:  # else it was reaped in this turn, and the id may be another process's
            self._close(pid)
            os.kill(pid, signal.SIGKILL)  # it may not lead its group yet
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)

    def _close(self, pid: int) -> None:
        connection = self._waiting.pop(pid)
        self._selector.unregister(connection)
        connection.close()


def _send(connection: socket.socket, reply: dict[str, int] | dict[str, str]) -> None:
    try:
        connection.sendall(json.dumps(reply).encode() + b"\n")
    except OSError:  # the supervisor is gone; its death ends the child too
        logger.warning("no supervisor reads %s", reply)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m predictors.serving.preload", description=__doc__)
    parser.add_argument("--socket", required=True, help="path of the unix socket to listen on")
    parser.add_argument("--import", dest="modules", nargs="*", default=[], metavar="MODULE")
    options = parser.parse_args()
    logs.configure("preload")
    sys.argv = sys.argv[:1]  # libraries that read the command line at import must not see ours
    for module in options.modules:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # so that garbage collections in a child do not copy the shared pages
    logger.info("ready to fork", extra={"modules": options.modules})
    Preload(options.socket).serve()


if __name__ == "__main__":
    main()
