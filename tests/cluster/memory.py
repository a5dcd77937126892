"""Resident memory of the cluster's processes."""

from pathlib import Path

from tests.cluster import down, processes

_MIB = 1024


def report() -> str:
    """A line for each process on the host, for the shims together and for each process in a pod, then the total."""
    rows = {name: _resident(number) for name in processes.names() if (number := processes.pid(name))}
    rows["containerd's shims"] = sum(_resident(number) for number in down.shims())
    for number, command in _in_pods():
        rows[f"pod: {command} ({number})"] = _resident(number)
    rows["total"] = sum(rows.values())
    return "\n".join(f"{size // _MIB:6d} MiB  {name}" for name, size in rows.items())


def total_mib() -> int:
    """What the whole cluster takes, in MiB."""
    return int(report().rpartition("\n")[2].split()[0])


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
