"""Running commands, and waiting for what they set in motion."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path


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
    """Run ``command`` and return its output; ``text`` is its standard input, ``env`` is added to this environment.

    Raises:
        ClusterError: it failed, with the end of its output, or took longer than ``seconds``.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            input=text,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise ClusterError(f"`{_short(words)}` did not end in {seconds:.0f} s") from None
    except FileNotFoundError:
        raise ClusterError(f"{words[0]} is not installed or not on PATH") from None
    if done.returncode:
        raise ClusterError(f"`{_short(words)}` failed: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout


def _short(words: list[str]) -> str:
    line = " ".join(words)
    return line if len(line) <= 200 else f"{line[:200]}…"


def installed(*programs: str) -> bool:
    """Whether every one of ``programs`` is on PATH."""
    return all(shutil.which(program) for program in programs)


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
