"""One certificate authority per cluster, the certificates it signs, and the kubeconfigs that carry them."""

import json
from pathlib import Path

from tools.cluster.machine.layout import ADMIN_KUBECONFIG, API_SERVER, KUBERNETES_ADDRESS, NODE, NODE_ADDRESS, PKI
from tools.cluster.machine.shell import run

AUTHORITY = PKI / "ca.crt"
_AUTHORITY_KEY = PKI / "ca.key"
SERVICE_ACCOUNT_KEY = PKI / "service-accounts.key"
SERVICE_ACCOUNT_PUBLIC_KEY = PKI / "service-accounts.pub"
FRONT_PROXY = "front-proxy"  # as whom the API server passes requests on to servers behind it, such as metrics-server
_CONFIG = PKI / "openssl.cnf"
_EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-days", "365")
_USERS = {
    "admin": "/O=system:masters/CN=admin",
    "controller-manager": "/CN=system:kube-controller-manager",
    "scheduler": "/CN=system:kube-scheduler",
    "proxy": "/CN=system:kube-proxy",
    "kubelet": f"/O=system:nodes/CN=system:node:{NODE}",
}


def make() -> None:
    """Make every key, certificate and kubeconfig that is not there yet."""
    PKI.mkdir(parents=True, exist_ok=True)
    PKI.chmod(0o700)
    _CONFIG.write_text("[req]\ndistinguished_name = dn\n[dn]\n", encoding="utf-8")
    if not AUTHORITY.exists():
        subject = ("-subj", "/CN=switchyard-test-cluster", "-addext", "basicConstraints=critical,CA:TRUE")
        _openssl("req", "-x509", *_EC, *subject, "-keyout", _AUTHORITY_KEY, "-out", AUTHORITY)
    if not SERVICE_ACCOUNT_KEY.exists():
        _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", SERVICE_ACCOUNT_KEY)
        _openssl("pkey", "-in", SERVICE_ACCOUNT_KEY, "-pubout", "-out", SERVICE_ACCOUNT_PUBLIC_KEY)
    kubernetes = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
    server_certificate("apiserver", "/CN=kube-apiserver", kubernetes, [KUBERNETES_ADDRESS, NODE_ADDRESS, "127.0.0.1"])
    server_certificate("kubelet-serving", f"/O=system:nodes/CN=system:node:{NODE}", [NODE], [NODE_ADDRESS])
    _certificate("apiserver-kubelet", "/O=system:masters/CN=apiserver-kubelet", "clientAuth")
    _certificate("front-proxy", f"/CN={FRONT_PROXY}", "clientAuth")
    for user, subject_name in _USERS.items():
        _certificate(user, subject_name, "clientAuth")
        _kubeconfig(user)


def kubeconfig(user: str) -> Path:
    """Return the kubeconfig of ``user``: admin, controller-manager, scheduler, proxy or kubelet."""
    return ADMIN_KUBECONFIG.with_name(f"{user}.conf")


def server_certificate(name: str, subject: str, hosts: list[str], addresses: list[str]) -> tuple[Path, Path]:
    """Create the certificate and key of a server with the given ``hosts`` and ``addresses``."""
    names = ",".join([*(f"DNS:{host}" for host in hosts), *(f"IP:{address}" for address in addresses)])
    return _certificate(name, subject, "serverAuth", "-addext", f"subjectAltName={names}")


def _certificate(name: str, subject: str, usage: str, *more: str) -> tuple[Path, Path]:
    certificate, key = PKI / f"{name}.crt", PKI / f"{name}.key"
    if not certificate.exists():
        signed = ("-x509", "-CA", AUTHORITY, "-CAkey", _AUTHORITY_KEY, *_EC, "-subj", subject)
        extensions = ("-addext", "basicConstraints=critical,CA:FALSE", "-addext", f"extendedKeyUsage={usage}", *more)
        _openssl("req", *signed, *extensions, "-keyout", key, "-out", certificate)
    return certificate, key


def _kubeconfig(user: str) -> None:
    path = kubeconfig(user)
    path.parent.mkdir(parents=True, exist_ok=True)
    cluster = {"server": API_SERVER, "certificate-authority": str(AUTHORITY)}
    holder = {"client-certificate": str(PKI / f"{user}.crt"), "client-key": str(PKI / f"{user}.key")}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "switchyard-test", "cluster": cluster}],
        "users": [{"name": user, "user": holder}],
        "contexts": [{"name": "switchyard-test", "context": {"cluster": "switchyard-test", "user": user}}],
        "current-context": "switchyard-test",
    }
    path.write_text(json.dumps(document, indent=2), encoding="utf-8")
    path.chmod(0o600)


def _openssl(command: str, *arguments: str | Path) -> None:
    config: tuple[str | Path, ...] = ("-config", _CONFIG) if command == "req" else ()
    run("openssl", command, *config, *arguments)
