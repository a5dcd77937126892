"""Running commands, and waiting for what they set in motion."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tools import shell


class ClusterError(RuntimeError):
    """The cluster cannot be made, used or ended; the message says why and what to do."""


class ProcessDiedError(ClusterError):
    """A process that others wait for has ended; the message carries the end of its log."""


def run(
    *command: str | Path,
    text: str | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    seconds: float = 900,
) -> str:
    """Run ``command`` and return its output, as ``tools.shell`` does.

    Raises:
        ClusterError: it failed, with the end of its output, or took longer than ``seconds``.
    """
    try:
        return shell.run(*command, text=text, cwd=cwd, env=env, seconds=seconds)
    except shell.CommandError as error:
        raise ClusterError(str(error)) from None


def eventually(what: str, condition: Callable[[], bool], seconds: float, every: float = 0.1) -> None:
    """Return as soon as ``condition`` holds; a ClusterError inside it counts as not yet, unless a process died.

    Raises:
        ClusterError: it does not hold within ``seconds``; the message names ``what`` and the last error.
    """
    deadline = time.monotonic() + seconds
    last = ""
    while True:
        try:
            if condition():
                return
        except ProcessDiedError:
            raise
        except ClusterError as error:
            last = f" (last error: {error})"
        if time.monotonic() >= deadline:
            raise ClusterError(f"{what}: not within {seconds:.0f} s{last}")
        time.sleep(every)
