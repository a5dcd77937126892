"""``python -m tools.cluster up|down|memory``: a real Kubernetes with Knative and KServe on this machine."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tools.cluster import down, memory
from tools.cluster.kubernetes import control_plane, dns, node, pki
from tools.cluster.machine import network
from tools.cluster.machine.layout import ADMIN_KUBECONFIG
from tools.cluster.machine.shell import ClusterError
from tools.cluster.platform import dev_overlay, ingress, knative, kserve, monitoring
from tools.cluster.software import packages, programs
from tools.programs import build_missing
from tools.shell import CommandError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 1 if it failed, with the reason on standard error."""
    parser = argparse.ArgumentParser(prog="python -m tools.cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (_, text) in _COMMANDS.items():
        commands.add_parser(name, help=text)
    chosen = parser.parse_args(arguments)
    try:
        if os.geteuid() != 0:
            raise ClusterError(
                "the cluster makes network interfaces, mounts and cgroups: run it as root, on a spare machine"
            )
        _COMMANDS[chosen.command][0]()
    except (ClusterError, CommandError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _build() -> None:
    with _phase("packages"):
        packages.install_missing()
    began = time.monotonic()
    for name in build_missing(programs.ALL):
        print(f"{_seconds(began)}  building {name}", flush=True)


def _up() -> None:
    _build()
    began = time.monotonic()
    with _phase("certificates and network"):
        pki.make()
        network.up()
    with _phase("containerd"):
        node.start_containerd()
    with _phase("our images"):
        names = dev_overlay.import_images()
    with _phase("control plane"):
        control_plane.up()
    with _phase("node"):
        node.join()
    with _phase("CoreDNS"):
        dns.up()
    with _phase("monitoring"):
        monitoring.up()
    with _phase("Knative"):
        knative.up()
        ingress.up()
        knative.wait()
        ingress.wait()
    with _phase("KServe"):
        kserve.up(names["router"])
        kserve.wait()
        monitoring.wait()
    with _phase("the dev overlay's gateway"):
        dev_overlay.up(names)
    with _phase("every model started once"):
        dev_overlay.wait()
        dev_overlay.remove_old_images(names)
    print(f"{_seconds(began)}  ready: export KUBECONFIG={ADMIN_KUBECONFIG}")


def _down() -> None:
    began = time.monotonic()
    for step in down.down():
        print(f"{_seconds(began)}  {step}", flush=True)
    left = down.left_over()
    if left:
        raise ClusterError("still there:\n  " + "\n  ".join(left))
    print(f"{_seconds(began)}  nothing is left but build/cluster's programs and images")


@contextmanager
def _phase(name: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    print(f"{_seconds(began)}  {name}", flush=True)


def _seconds(began: float) -> str:
    return f"{time.monotonic() - began:6.1f} s"


_COMMANDS: dict[str, tuple[Callable[[], None], str]] = {
    "build": (_build, "install packages and build the programs that are missing"),
    "up": (_up, "bring the cluster up, or what is missing of it"),
    "down": (_down, "end it; programs and images are kept"),
    "memory": (lambda: print(memory.report()), "how much memory each part takes"),
}

if __name__ == "__main__":
    sys.exit(main())
