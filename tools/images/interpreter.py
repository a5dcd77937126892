"""The Python that runs this, moved to ``/usr/local``, where Python's own image has it too."""

import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from tools.images.oci import Entry
from tools.images.tree import walk

VERSION = "{}.{}".format(*sys.version_info[:2])
LIBRARY = f"usr/local/lib/python{VERSION}"
SITE = f"{LIBRARY}/site-packages"

# Of the standard library: what shows windows, installs packages, tests Python itself or builds it, and Debian's word to
# pip that this tree is apt's.
_LEFT_OUT = frozenset(
    (
        "test",
        "idlelib",
        "tkinter",
        "turtledemo",
        "turtle.py",
        "ensurepip",
        "lib2to3",
        "site-packages",
        "dist-packages",
        "EXTERNALLY-MANAGED",
    )
)
# Extensions whose libraries are not in the image.
_EXTENSIONS_LEFT_OUT = ("_tkinter.", "_test", "nis.", "_gdbm.", "_dbm.", "xxlimited", "_xxtestfuzz")


def entries() -> Iterator[Entry]:
    """List the interpreter, its shared library if it has one, and its standard library."""
    executable = Path(sys.executable).resolve()
    yield Entry(path=f"usr/local/bin/python{VERSION}", source=executable, mode=0o755)
    for name in ("python3", "python"):
        yield Entry(path=f"usr/local/bin/{name}", link=f"python{VERSION}")
    if library := _shared_library():
        yield Entry(path=f"usr/lib/{sysconfig.get_config_var('MULTIARCH')}/{library.name}", source=library.resolve())
    standard = Path(sysconfig.get_path("stdlib"))
    for path in sorted(standard.iterdir()):
        if path.name in _LEFT_OUT or path.name.startswith(("config-", "__pycache__")):
            continue
        place = f"{LIBRARY}/{path.name}"
        if path.is_symlink():  # Debian's into /etc, which the image does not have
            continue
        found = walk(path, place) if path.is_dir() else [Entry(path=place, source=path)]
        yield from (entry for entry in found if not _left_out(entry.path))
    if (standard.parent / "python3" / "dist-packages").is_dir():
        yield Entry(path=f"{LIBRARY}/dist-packages", link="site-packages")  # where Debian's Python looks


def _left_out(path: str) -> bool:
    folder, _, name = path.rpartition("/")
    return folder.endswith("lib-dynload") and name.startswith(_EXTENSIONS_LEFT_OUT)


def _shared_library() -> Path | None:
    """Return Python's own shared library, where the dynamic linker finds it without a cache."""
    if not sysconfig.get_config_var("Py_ENABLE_SHARED"):
        return None
    name = sysconfig.get_config_var("INSTSONAME")
    folders = (sysconfig.get_config_var("LIBDIR"), f"/usr/lib/{sysconfig.get_config_var('MULTIARCH')}")
    return next((Path(folder, name) for folder in folders if Path(folder, name).exists()), None)
