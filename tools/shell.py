"""Running the commands of this machine that tools need."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path


class CommandError(RuntimeError):
    """A command is absent, failed or took too long; the message says which, and why."""


def run(
    *command: str | Path,
    text: str | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    seconds: float = 900,
) -> str:
    """Run ``command`` and return its output; ``text`` is its standard input, ``env`` is added to this environment.

    Raises:
        CommandError: it failed, with the end of its output, or took longer than ``seconds``.
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
        raise CommandError(f"`{_short(words)}` did not end in {seconds:.0f} s") from None
    except FileNotFoundError:
        raise CommandError(f"{words[0]} is not installed or not on PATH") from None
    if done.returncode:
        raise CommandError(f"`{_short(words)}` failed: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout


def _short(words: list[str]) -> str:
    line = " ".join(words)
    return line if len(line) <= 200 else f"{line[:200]}…"


def installed(*programs: str) -> bool:
    """Whether every one of ``programs`` is on PATH."""
    return all(shutil.which(program) for program in programs)
