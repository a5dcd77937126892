"""Ending the cluster: its processes, containers, mounts, network and rules; programs and images are kept."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tools.cluster.machine import network, processes
from tools.cluster.machine.layout import BRIDGE, CONTAINERD_SOCKET, PODS, RUN
from tools.cluster.machine.shell import ClusterError, eventually, run
from tools.cluster.software import images, programs
from tools.shell import installed

_FIRST = ("kubelet", "kube-scheduler", "kube-controller-manager", "kube-proxy")


def down() -> Iterator[str]:
    """End all there is of the cluster, whatever state it is in; yields what comes next."""
    yield "processes"
    for name in _FIRST:
        processes.stop(name)
    processes.stop("kube-apiserver", seconds=0)  # asked, it waits a minute for those who watch it
    processes.stop("etcd")
    yield "containers"
    if processes.running("containerd"):
        _remove_containers()
    processes.stop("containerd")
    _killshims()
    yield "mounts"
    _unmount()
    _remove_network_namespaces()
    _remove_cgroups()
    yield "network"
    _remove_rules()
    _remove_pod_links()
    network.down()
    shutil.rmtree(RUN, ignore_errors=True)


def left_over() -> list[str]:
    """Describe what is left of the cluster; empty after `make cluster-down`."""
    found = [f"process {name}" for name in processes.names() if processes.running(name)]
    found += [f"shim {number}" for number in shims()]
    found += [f"mount {path}" for path in _mounts()]
    found += [f"link {link}" for link in (*_pod_links(), BRIDGE) if Path("/sys/class/net", link).exists()]
    found += [f"cgroup {path}" for path in _cgroups()]
    if installed("iptables-save"):
        found += [f"rule {line}" for line in run("iptables-save").splitlines() if "KUBE-" in line]
    return found


def _remove_containers() -> None:
    def tasks() -> list[str]:
        return images.ctr("tasks", "list", "--quiet").split()

    for task in tasks():
        _quietly("tasks", "kill", "--signal", "SIGKILL", task)

    def gone() -> bool:
        for task in tasks():
            _quietly("tasks", "delete", "--force", task)
        return not tasks()

    eventually("containers end", gone, 30)
    for container in images.ctr("containers", "list", "--quiet").split():
        _quietly("containers", "delete", container)


def _quietly(*arguments: str) -> None:
    with suppress(ClusterError):  # it ended by itself in the meantime
        images.ctr(*arguments, seconds=30)


def shims() -> list[int]:
    """containerd's shims that serve our containerd: their command line names its socket."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if command[0].endswith(b"containerd-shim-runc-v2") and os.fsencode(CONTAINERD_SOCKET) in command:
            found.append(int(folder.name))
    return found


def _killshims() -> None:
    for number in shims():
        os.kill(number, signal.SIGKILL)


def _mounts() -> list[str]:
    lines = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    return [path for path in (line.split()[1] for line in lines) if path.startswith(f"{RUN}/")]


def _unmount() -> None:
    for path in sorted(_mounts(), reverse=True):
        run("umount", "--lazy", path)


def _remove_network_namespaces() -> None:
    for path in Path("/run/netns").glob("cni-*"):
        if not run("ip", "netns", "pids", path.name).strip():
            run("ip", "netns", "delete", path.name)


def _cgroups() -> list[Path]:
    return [path for path in Path("/sys/fs/cgroup").glob("**/kubepods") if path.is_dir()]


def _remove_cgroups() -> None:
    for top in _cgroups():
        for path in sorted((folder for folder in top.rglob("*") if folder.is_dir()), reverse=True):
            path.rmdir()
        top.rmdir()


def _remove_rules() -> None:
    """Delete kube-proxy's chains, and kubelet's, which kube-proxy's own cleaning leaves behind."""
    if not installed("iptables-save"):
        return
    if programs.KUBE_PROXY.path.exists():
        run(programs.KUBE_PROXY.path, "--cleanup", "--proxy-mode=iptables")
    for family in ("iptables", "ip6tables"):
        saved = run(f"{family}-save")
        if "KUBE-" in saved:
            others = "\n".join(line for line in saved.splitlines() if "KUBE-" not in line)
            run(f"{family}-restore", text=f"{others}\n")


def _pod_links() -> list[str]:
    """List the host's ends of pods' links: they have the first address of the pods' network."""
    first = PODS.rpartition(".")[0] + ".1"
    lines = run("ip", "-oneline", "-4", "address", "show").splitlines()
    return [line.split()[1] for line in lines if f" {first}/" in line or f" {first} " in line]


def _remove_pod_links() -> None:
    for link in _pod_links():
        run("ip", "link", "delete", link)
