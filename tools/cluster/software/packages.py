"""Debian's packages that the cluster runs on the host."""

from tools.cluster.machine.layout import CNI_PLUGINS
from tools.cluster.machine.shell import ClusterError, run
from tools.cluster.software.versions import DEBIAN_PACKAGES
from tools.shell import installed

_PROGRAMS = ("containerd", "ctr", "runc", "etcd", "iptables", "ip", "openssl", "kubectl")


def install_missing() -> None:
    """Install etcd, containerd and the rest, without starting any of their services.

    Raises:
        ClusterError: a program is missing and cannot be installed by apt.
    """
    if _complete():
        return
    if not installed("apt-get"):
        raise ClusterError(f"install {', '.join(_PROGRAMS)} and the CNI plugins in {CNI_PLUGINS}; there is no apt-get")
    install(*DEBIAN_PACKAGES)
    if not _complete():
        missing = [program for program in _PROGRAMS if not installed(program)]
        raise ClusterError(f"still missing: {', '.join(missing) or CNI_PLUGINS}; kubectl is not in Debian's packages")


def install(*packages: str) -> None:
    """Install Debian's packages; services among them are not started.

    Raises:
        ClusterError: apt does not know one or cannot fetch it.
    """
    run("apt-get", "update", "--quiet=2")
    run("apt-get", "install", "--yes", "--no-install-recommends", *packages, env={"RUNLEVEL": "1"})


def _complete() -> bool:
    return installed(*_PROGRAMS) and (CNI_PLUGINS / "ptp").exists()
