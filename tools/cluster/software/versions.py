"""Everything the cluster is made of, at fixed versions: this file is the one place to change them."""

KUBERNETES = "1.34.4"
COREDNS = "1.14.7"
KNATIVE = "0.48.1"  # the Go module of Knative 1.21.1; KServe 0.20 is tested with it
METRICS_SERVER = "0.9.0"
PROMETHEUS_OPERATOR = "0.85.0"
KUBE_RBAC_PROXY = "0.18.0"  # as KServe 0.20's manifests have it
KSERVE = "0.20.0"  # its newest Go module; the SDK of our predictors is 0.21

DEBIAN_PACKAGES = (
    "containerd",
    "runc",
    "containernetworking-plugins",
    "etcd-server",
    "iptables",
    "iproute2",
    "openssl",
)
