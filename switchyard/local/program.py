"""How the person at the terminal types this program."""

import os
import shutil
import sys
from pathlib import Path


def program() -> str:
    """Return the name of this program for the shell it was started from: its path, unless that shell finds it."""
    # make adds to the PATH of its own commands alone: the shell in which it was typed may not find what they find.
    if shutil.which("switchyard") and "MAKELEVEL" not in os.environ:
        return "switchyard"
    path = Path(sys.executable).with_name("switchyard")
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
