"""Debian's packages that the cluster runs on the host."""

from tests.cluster.layout import CNI_PLUGINS
from tests.cluster.shell import ClusterError, installed, run
from tests.cluster.versions import DEBIAN_PACKAGES

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
    run("apt-get", "install", "--yes", "--no-install-recommends", *DEBIAN_PACKAGES, env={"RUNLEVEL": "1"})
    if not _complete():
        missing = [program for program in _PROGRAMS if not installed(program)]
        raise ClusterError(f"still missing: {', '.join(missing) or CNI_PLUGINS}; kubectl is not in Debian's packages")


def _complete() -> bool:
    return installed(*_PROGRAMS) and (CNI_PLUGINS / "ptp").exists()
