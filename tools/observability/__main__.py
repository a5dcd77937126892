"""``python -m tools.observability``: build the programs that are missing; nothing to do, nothing said."""

import os
import shutil
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from tools.observability.programs import ALL, KEPT
from tools.programs import Program, build_missing
from tools.shell import CommandError

# Every checkout of this user has the same programs: ten minutes and two gigabytes to build on two cores.
_SHARED = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "switchyard" / "programs"


def main() -> int:
    """Build what is missing; the exit status is 1 if that failed, with the reason on standard error."""
    began = time.monotonic()
    try:
        _copy(ALL, source=_SHARED, target=KEPT)
        for name in build_missing(ALL):
            print(f"observability: building {name} (some minutes, once)", flush=True)
        _copy(ALL, source=KEPT, target=_SHARED)
    except CommandError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    _link(ALL)
    if (took := time.monotonic() - began) > 1:
        print(f"observability: ready after {took:.0f} s", flush=True)
    return 0


def _copy(programs: Iterable[Program], *, source: Path, target: Path) -> None:
    """Copy to ``target`` the programs that are in ``source`` only."""
    for program in programs:
        inside = program.path.relative_to(program.kept)
        if (source / inside).exists() and not (target / inside).exists():
            (target / inside).parent.mkdir(parents=True, exist_ok=True)
            staged = (target / inside).with_suffix(f".{os.getpid()}")
            shutil.copy2(source / inside, staged)
            staged.rename(target / inside)


def _link(programs: Iterable[Program]) -> None:
    """Let KEPT/bin, where `switchyard up --observe` looks, lead to the version in force of each program."""
    folder = KEPT / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    for program in programs:
        link, wanted = folder / program.name, Path("..", program.path.relative_to(KEPT))
        if not link.is_symlink() or link.readlink() != wanted:
            link.unlink(missing_ok=True)
            link.symlink_to(wanted)


if __name__ == "__main__":
    sys.exit(main())
