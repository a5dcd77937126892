"""The one node: containerd, kubelet and kube-proxy, as plain processes of the host."""

import json

from tools.cluster.kubernetes import pki
from tools.cluster.kubernetes.kubectl import Document, get, kubectl
from tools.cluster.machine import network, processes
from tools.cluster.machine.layout import (
    CNI_PLUGINS,
    CONTAINERD_ROOT,
    CONTAINERD_SOCKET,
    DNS_ADDRESS,
    NODE,
    NODE_ADDRESS,
    PKI,
    POD_LOGS,
    PODS,
    RUN,
)
from tools.cluster.machine.shell import eventually
from tools.cluster.software import images, programs

_CONTAINERD = f"""\
version = 2
root = "{CONTAINERD_ROOT}"
state = "{RUN}/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp",
]
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{RUN}/containerd-opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{images.name(programs.PAUSE)}"
  disable_apparmor = true
  # Machines without CAP_SYS_RESOURCE, such as many CI ones, forbid lowering a score, and then no container starts.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{CNI_PLUGINS}"
    conf_dir = "{network.CNI_CONFIGURATION}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
"""

# A developer's disk is fuller than a server's, and an imported image cannot be pulled again.
EVICTION = {
    "memory.available": "200Mi",
    "nodefs.available": "1%",
    "nodefs.inodesFree": "1%",
    "imagefs.available": "1%",
}


def start_containerd() -> None:
    """Start containerd and import the image that every pod begins with."""
    RUN.mkdir(parents=True, exist_ok=True)
    configuration = RUN / "containerd.toml"
    configuration.write_text(_CONTAINERD, encoding="utf-8")
    processes.start("containerd", ["containerd", "--config", configuration])
    eventually("containerd responds", images.responds, 30)
    images.add_program(programs.PAUSE)
    images.ctr("images", "label", images.name(programs.PAUSE), "io.cri-containerd.pinned=pinned")


def join() -> None:
    """Start kubelet and kube-proxy; returns when the node is ready for pods."""
    (RUN / "resolv.conf").write_text(f"nameserver {DNS_ADDRESS}\n", encoding="utf-8")
    _start_kubelet(_kubelet())
    config = f"--config={_written('kube-proxy.json', _kube_proxy())}"
    processes.start("kube-proxy", [programs.KUBE_PROXY.path, config], GOGC="50")
    eventually("the node is ready", _ready, 90)


def restart_kubelet(**changed: object) -> None:
    """Start kubelet again with ``changed`` over its settings, or with none to have them back; containers run on.

    It returns when the kubelet has learnt its pods from the API server: until then it rejects `kubectl exec`.
    """
    processes.stop("kubelet")
    _start_kubelet(_kubelet() | changed)
    eventually("the kubelet knows its pods again", _knows_its_pods, 60)


def _start_kubelet(settings: Document) -> None:
    processes.start(
        "kubelet",
        [
            programs.KUBELET.path,
            f"--config={_written('kubelet.json', settings)}",
            f"--kubeconfig={pki.kubeconfig('kubelet')}",
            f"--root-dir={RUN / 'kubelet'}",
            f"--cert-dir={RUN / 'certificates'}",
            f"--hostname-override={NODE}",
            f"--node-ip={NODE_ADDRESS}",
        ],
        GOGC="50",
    )


def _knows_its_pods() -> bool:
    processes.check("kubelet")
    known = json.loads(kubectl("get", "--raw", f"/api/v1/nodes/{NODE}/proxy/pods"))["items"] or []
    assigned = get("pods", "--all-namespaces", "--field-selector", f"spec.nodeName={NODE},status.phase=Running")
    return {pod["metadata"]["uid"] for pod in assigned["items"]} <= {pod["metadata"]["uid"] for pod in known}


def _ready() -> bool:
    processes.check("kubelet")
    processes.check("kube-proxy")
    conditions = get("node", NODE)["status"]["conditions"]
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _written(name: str, document: Document) -> str:
    path = RUN / name
    text = json.dumps(document, indent=2)
    if not path.exists() or path.read_text(encoding="utf-8") != text:  # kube-proxy ends when its file is written again
        path.write_text(text, encoding="utf-8")
    return str(path)


def _kubelet() -> Document:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "healthzBindAddress": "127.0.0.1",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki.AUTHORITY)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(PKI / "kubelet-serving.crt"),
        "tlsPrivateKeyFile": str(PKI / "kubelet-serving.key"),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": str(RUN / "resolv.conf"),
        "podLogsDir": str(POD_LOGS),
        "makeIPTablesUtilChains": False,
        "evictionHard": EVICTION,
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
        "kubeAPIQPS": 100,
        "kubeAPIBurst": 200,
    }


def _kube_proxy() -> Document:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clusterCIDR": PODS,
        "hostnameOverride": NODE,
        "bindAddress": "127.0.0.1",
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "clientConnection": {"kubeconfig": str(pki.kubeconfig("proxy"))},
        # The host's connection tracking stays as it is.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "iptables": {"minSyncPeriod": "200ms"},
        "nodePortAddresses": [f"{NODE_ADDRESS}/32"],
    }
