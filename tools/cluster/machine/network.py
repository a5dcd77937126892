"""The node's address and the pods' network."""

import json
from pathlib import Path

from tools.cluster.machine.layout import BRIDGE, NODE_ADDRESS, PODS, RUN, SERVICES
from tools.cluster.machine.shell import run

CNI_CONFIGURATION = RUN / "cni"
POD_ADDRESSES = RUN / "pod-addresses"
_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
_FORWARDING_BEFORE = RUN / "ip_forward.before"


def up() -> None:
    """Give the node its address, let the kernel forward, tell containerd how to connect pods."""
    if not Path("/sys/class/net", BRIDGE).exists():
        run("ip", "link", "add", BRIDGE, "type", "bridge")
        run("ip", "address", "add", f"{NODE_ADDRESS}/32", "dev", BRIDGE)
        run("ip", "link", "set", BRIDGE, "up")
    # What kube-proxy has no rule for yet ends here. It would leave the machine otherwise, and who answered there would
    # keep the connection: the API server held on to one for metrics-server.
    run("ip", "route", "replace", SERVICES, "dev", BRIDGE)
    if not _FORWARDING_BEFORE.exists():
        _FORWARDING_BEFORE.write_text(_FORWARDING.read_text(encoding="ascii"), encoding="ascii")
    _FORWARDING.write_text("1", encoding="ascii")
    CNI_CONFIGURATION.mkdir(parents=True, exist_ok=True)
    # A point-to-point link per pod, not a bridge: the host routes every packet, so kube-proxy's rules see all of them.
    pods = {
        "type": "ptp",
        "ipMasq": False,
        "mtu": 1500,
        "ipam": {
            "type": "host-local",
            "dataDir": str(POD_ADDRESSES),
            "ranges": [[{"subnet": PODS}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    configuration = {"cniVersion": "0.4.0", "name": "pods", "plugins": [pods]}
    (CNI_CONFIGURATION / "10-pods.conflist").write_text(json.dumps(configuration, indent=2), encoding="utf-8")


def down() -> None:
    """Take the node's address away and put forwarding back as it was."""
    if Path("/sys/class/net", BRIDGE).exists():
        run("ip", "link", "delete", BRIDGE)
    if _FORWARDING_BEFORE.exists():
        _FORWARDING.write_text(_FORWARDING_BEFORE.read_text(encoding="ascii"), encoding="ascii")
        _FORWARDING_BEFORE.unlink()
