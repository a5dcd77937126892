"""The cluster's folders and addresses."""

from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
REPOSITORY = HERE.parents[1]
GO_SOURCES = HERE / "software"  # the programs of ours, a folder each
MANIFESTS = HERE / "manifests"
OVERLAY = HERE / "platform" / "overlay"

KEPT = REPOSITORY / "build" / "cluster"  # kept for the next cluster: programs and imported images
PROGRAMS = KEPT / "programs"
CONTAINERD_ROOT = KEPT / "containerd"
CONTAINERD_BLOBS = CONTAINERD_ROOT / "io.containerd.content.v1.content" / "blobs" / "sha256"

RUN = KEPT / "run"  # ends with this cluster
LOGS = RUN / "logs"
POD_LOGS = RUN / "pod-logs"
PKI = RUN / "pki"
ADMIN_KUBECONFIG = RUN / "kubeconfig" / "admin.conf"
CONTAINERD_SOCKET = RUN / "containerd.sock"
CNI_PLUGINS = Path("/usr/lib/cni")

BRIDGE = "switchyard0"
NODE = "switchyard"
NODE_ADDRESS = "10.200.0.1"  # on a bridge without ports: kube-apiserver does not advertise a loopback address
API_SERVER = f"https://{NODE_ADDRESS}:6443"
ETCD = "http://127.0.0.1:23790"
ETCD_PEERS = "http://127.0.0.1:23800"

PODS = "10.201.0.0/16"
SERVICES = "10.96.0.0/16"
KUBERNETES_ADDRESS = "10.96.0.1"  # the first of SERVICES, always the API server's
DNS_ADDRESS = "10.96.0.10"
INGRESS_ADDRESS = "10.96.0.80"

PLATFORM = REPOSITORY / "kustomize" / "platform"  # what `make install-platform` sets, which is what the cluster tests
