"""etcd and Kubernetes' control plane, as plain processes of the host."""

from tools.cluster.kubernetes import pki
from tools.cluster.kubernetes.kubectl import kubectl
from tools.cluster.machine import processes
from tools.cluster.machine.layout import API_SERVER, ETCD, ETCD_PEERS, NODE_ADDRESS, PKI, RUN, SERVICES
from tools.cluster.machine.shell import eventually
from tools.cluster.software import programs

_CERTIFICATES = RUN / "certificates"  # where programs put those that they make for themselves


def up() -> None:
    """Start etcd, the API server, the controllers and the scheduler; returns when the API server is ready."""
    _etcd()
    _api_server()
    eventually(f"{API_SERVER} responds", _ready, 60)
    _controllers()


def _ready() -> bool:
    processes.check("etcd")
    processes.check("kube-apiserver")
    return kubectl("get", "--raw", "/readyz", seconds=10) == "ok"


def _etcd() -> None:
    processes.start(
        "etcd",
        [
            "etcd",
            "--name=etcd",
            f"--data-dir={RUN / 'etcd'}",
            f"--listen-client-urls={ETCD}",
            f"--advertise-client-urls={ETCD}",
            f"--listen-peer-urls={ETCD_PEERS}",
            f"--initial-advertise-peer-urls={ETCD_PEERS}",
            f"--initial-cluster=etcd={ETCD_PEERS}",
            "--log-level=warn",
            "--unsafe-no-fsync",  # a crash of this machine may cost a test cluster
        ],
    )


def _api_server() -> None:
    processes.start(
        "kube-apiserver",
        [
            programs.KUBE_APISERVER.path,
            f"--etcd-servers={ETCD}",
            f"--bind-address={NODE_ADDRESS}",
            f"--advertise-address={NODE_ADDRESS}",
            "--secure-port=6443",
            f"--service-cluster-ip-range={SERVICES}",
            f"--client-ca-file={pki.AUTHORITY}",
            f"--tls-cert-file={PKI / 'apiserver.crt'}",
            f"--tls-private-key-file={PKI / 'apiserver.key'}",
            f"--kubelet-client-certificate={PKI / 'apiserver-kubelet.crt'}",
            f"--kubelet-client-key={PKI / 'apiserver-kubelet.key'}",
            "--kubelet-preferred-address-types=InternalIP",
            *_passing_on(),
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={pki.SERVICE_ACCOUNT_PUBLIC_KEY}",
            f"--service-account-signing-key-file={pki.SERVICE_ACCOUNT_KEY}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            "--profiling=false",
            f"--cert-dir={_CERTIFICATES}",
        ],
        GOGC="30",  # a third less memory; most of it holds the schemas of KServe's definitions
    )


def _passing_on() -> list[str]:
    """Return the flags by which servers behind the API server, such as metrics-server, learn the requesting user."""
    return [
        f"--requestheader-client-ca-file={pki.AUTHORITY}",
        f"--requestheader-allowed-names={pki.FRONT_PROXY}",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={PKI / 'front-proxy.crt'}",
        f"--proxy-client-key-file={PKI / 'front-proxy.key'}",
    ]


def _controllers() -> None:
    alone = ("--leader-elect=false", "--bind-address=127.0.0.1")
    processes.start(
        "kube-controller-manager",
        [
            programs.KUBE_CONTROLLER_MANAGER.path,
            f"--kubeconfig={pki.kubeconfig('controller-manager')}",
            *alone,
            "--use-service-account-credentials=true",
            f"--service-account-private-key-file={pki.SERVICE_ACCOUNT_KEY}",
            f"--root-ca-file={pki.AUTHORITY}",
            f"--service-cluster-ip-range={SERVICES}",
            f"--cert-dir={_CERTIFICATES}",
            "--horizontal-pod-autoscaler-sync-period=5s",  # of 15: a test waits for it
        ],
        GOGC="50",
    )
    kubeconfig = f"--kubeconfig={pki.kubeconfig('scheduler')}"
    processes.start("kube-scheduler", [programs.KUBE_SCHEDULER.path, kubeconfig, *alone], GOGC="50")
