"""Container images of what is not ours, made of programs on this machine and imported into the node's containerd."""

import re
import shutil
import tempfile
from collections.abc import Collection
from functools import cache
from pathlib import Path

from tools.cluster.machine.layout import CONTAINERD_SOCKET, KEPT
from tools.cluster.machine.shell import ClusterError, run
from tools.images.oci import Config, Entry, Store
from tools.programs import Program

_NAMESPACE = "k8s.io"  # where kubelet's containers and images are


def name(program: Program) -> str:
    """Return the image's name.

    ``dev.local`` is on Knative's list of registries that it does not ask for a tag's digest, and any tag but ``latest``
    keeps kubelet from pulling.
    """
    return f"dev.local/{program.name}:{program.version}"


def add_program(program: Program, *, user: str = "65532:65532") -> None:
    """Import an image with nothing but ``program``, in ``/`` and as entry point, unless the node has it."""
    if name(program) in _present():
        return
    command = f"/{program.path.name.removeprefix('kserve-')}"
    entries = [Entry(path="tmp", mode=0o1777), Entry(path=command[1:], source=program.path, mode=0o755)]
    _import(name(program), Config(user=user, entrypoint=[command]), entries)


def add_linked(name_and_tag: str, *commands: str) -> None:
    """Import an image of programs that are installed here, with the libraries that they are linked to."""
    if name_and_tag in _present():
        return
    entries = {"tmp": Entry(path="tmp", mode=0o1777)}
    for command in commands:
        found = shutil.which(command)
        if found is None:
            raise ClusterError(f"{command} is not installed or not on PATH")
        libraries = re.findall(r"(/\S+) \(0x", run("ldd", found))
        for path in (f"/usr/bin/{command}", *libraries):
            source = Path(found if path.endswith(f"/{command}") else path).resolve()
            entries[path] = Entry(path=path.lstrip("/"), source=source, mode=0o755)
    _import(name_and_tag, Config(user="65532:65532", env={"PATH": "/usr/bin"}), list(entries.values()))


def remove_others(prefix: str, kept: Collection[str]) -> None:
    """Remove the images whose names begin with ``prefix`` but for ``kept``: the kubelet here never removes any."""
    stale = [found for found in _present() if found.startswith(prefix) and found not in kept]
    if stale:
        ctr("images", "remove", *stale)
        _present.cache_clear()


def responds() -> bool:
    """Whether containerd responds; raises a ClusterError while it does not."""
    ctr("version", seconds=5)
    return True


def ctr(*arguments: str, seconds: float = 900) -> str:
    """containerd's own client, for the containers and images of this cluster's node."""
    return run("ctr", "--address", CONTAINERD_SOCKET, "--namespace", _NAMESPACE, *arguments, seconds=seconds)


def _import(name_and_tag: str, config: Config, entries: list[Entry]) -> None:
    with tempfile.TemporaryDirectory(dir=KEPT) as folder:
        store = Store(Path(folder))
        archive = Path(folder, "image.tar")
        with archive.open("wb") as file:
            store.archive({name_and_tag: store.image(config, [store.layer(name_and_tag, entries)])}, file)
        ctr("images", "import", str(archive))
    _present.cache_clear()


@cache
def _present() -> frozenset[str]:
    return frozenset(ctr("images", "list", "--quiet").split())
