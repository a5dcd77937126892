"""``python -m tests.tools.images.python_image ARCHIVE``: a stand-in for ``python:3.11-slim-bookworm``.

Debian 12 by ``mmdebstrap``, which takes root, with what Python's libraries need; this Python and pip in ``/usr/local``;
whom this machine trusts and what it tells pip.
"""

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from tests.tools.images.test_packages import HERE
from tools.cluster.machine.shell import run
from tools.images import interpreter
from tools.images.oci import Config, Entry, Layer, Store
from tools.images.packages import packages
from tools.images.system import BASE

NAME = "docker.io/library/python:3.11-slim-bookworm"
_PIP = b"#!/usr/local/bin/python\nimport sys\nfrom pip._internal.cli.main import main\nsys.exit(main())\n"
_OF_THIS_MACHINE = ("etc/ssl/certs/ca-certificates.crt", "etc/pip.conf")
# As Python's image has it: apt keeps no copy of what it knows, which would be 70 MB of a layer.
_APT = ('--aptopt=Dir::Cache::pkgcache "";', '--aptopt=Dir::Cache::srcpkgcache "";')


def write(archive: Path) -> None:
    """Writes the image as an OCI archive.

    Raises:
        ClusterError: mmdebstrap is missing or fails.
    """
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        store = Store(Path(folder))
        lock = Path(folder, "pip.lock")
        lock.write_text(f"pip=={version('pip')}\n")
        layers = [_debian(store), store.layer("Python and pip", _python(lock))]
        path = "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin"
        image = store.image(Config(user="0:0", env={"PATH": path}), layers)
        with archive.open("wb") as file:
            store.archive({NAME: image}, file)


def _debian(store: Store) -> Layer:
    tar = store.path("debian.tar")
    run("mmdebstrap", "--variant=minbase", f"--include={','.join(BASE)}", *_APT, "bookworm", tar)
    with tar.open("rb") as file:
        digest = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    size = tar.stat().st_size
    shutil.move(tar, store.path(digest))
    return Layer(title="Debian", digest=digest, diff_id=digest, size=size)


def _python(lock: Path) -> Iterator[Entry]:
    yield from interpreter.entries()
    for package in packages(lock, HERE):
        yield from package.files()
    yield Entry(path="usr/local/bin/pip", content=_PIP, mode=0o755)
    for name in _OF_THIS_MACHINE:
        if (source := Path("/", name)).exists():
            yield Entry(path=name, source=source)


if __name__ == "__main__":
    write(Path(sys.argv[1]).resolve())
