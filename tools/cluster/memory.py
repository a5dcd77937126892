"""Resident memory of the cluster's processes."""

from pathlib import Path

from tools.cluster import down
from tools.cluster.machine import processes
from tools.cluster.software import programs

_MIB = 1024
_PLATFORM = {program.name.removeprefix("kserve-") for program in programs.ALL}


def report() -> str:
    """Format a line for each process on the host, for all shims and for each process in a pod, then two totals."""
    rows = {name: _resident(number) for name in processes.names() if (number := processes.pid(name))}
    rows["containerd's shims"] = sum(_resident(number) for number in down.shims())
    for number, command in _in_pods():
        rows[f"pod: {command} ({number})"] = _resident(number)
    rows["Kubernetes, Knative and KServe"] = sum(size for name, size in rows.items() if not _is_workload(name))
    rows["all"] = sum(size for name, size in rows.items() if name != "Kubernetes, Knative and KServe")
    return "\n".join(f"{size // _MIB:6d} MiB  {name}" for name, size in rows.items())


def _is_workload(name: str) -> bool:
    """Whether a process in a pod is neither of ``programs`` nor a pause; Knative's proxies come with the workload."""
    command = name.removeprefix("pod: ").partition(" ")[0].removeprefix("/")
    return name.startswith("pod: ") and (command not in _PLATFORM or command == programs.KNATIVE["queue"].name)


def _resident(number: int) -> int:
    try:
        status = Path(f"/proc/{number}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")), 0)


def _in_pods() -> list[tuple[int, str]]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if "kubepods" not in (folder / "cgroup").read_text(encoding="utf-8"):
                continue
            command = (folder / "cmdline").read_bytes().split(b"\0")[0].decode()
        except OSError:
            continue
        found.append((int(folder.name), command))
    return sorted(found)
