"""How the person at the terminal types this program."""

import os
import shutil
import sys
from pathlib import Path

PORT_VARIABLE = "SWITCHYARD_PORT"  # as `switchyard up --port`
LISTEN_VARIABLE = "SWITCHYARD_LISTEN"  # as `switchyard up --listen`; the gateway's own setting of this name

ALERTS_VARIABLE = "SWITCHYARD_ALERTS_TO"  # as `switchyard up --alerts-to`


def program(name: str = "switchyard") -> str:
    """Return what runs this program, or another of its environment, in the shell from which it was started.

    It is the name if that shell finds it, and otherwise the path.
    """
    # make adds to the PATH of its own commands alone: the shell in which it was typed may not find what they find.
    if shutil.which(name) and "MAKELEVEL" not in os.environ:
        return name
    return shown(Path(sys.executable).with_name(name))


def shown(path: Path) -> str:
    """Return a path as people in the working directory write it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
