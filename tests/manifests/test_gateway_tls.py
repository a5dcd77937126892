"""Component gateway-tls: what it changes fits together, in a cluster and on one machine."""

from pathlib import Path
from typing import Any

import yaml

from switchyard.local.plan.plan import plan
from switchyard.local.plan.render import render
from switchyard.local.plan.workloads import Options
from tests.manifests.documents import of_kind
from tests.manifests.test_overlays_build import copy_of_the_tree

VARIABLES = ("TLS_CERT_FILE", "TLS_KEY_FILE")


def test_the_gateway_serves_probes_and_is_announced_by_its_certificate(tmp_path: Path) -> None:
    overlay = copy_of_the_tree(tmp_path) / "kustomize/overlays/local"
    file = overlay / "kustomization.yaml"
    listed: dict[str, Any] = yaml.safe_load(file.read_text())
    listed["components"].append("../../components/gateway-tls")
    secret = {"name": "gateway-tls", "type": "kubernetes.io/tls", "files": ["tls.crt", "tls.key"]}
    listed["secretGenerator"] = [{**secret, "options": {"disableNameSuffixHash": True}}]
    file.write_text(yaml.safe_dump(listed))
    for name in ("tls.crt", "tls.key"):
        (overlay / name).write_text(f"PEM of {name}\n")

    documents = render(overlay)
    deployment, service = (of_kind(documents, kind)["gateway"] for kind in ("Deployment", "Service"))
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert {container[probe]["httpGet"]["scheme"] for probe in ("readinessProbe", "livenessProbe")} == {"HTTPS"}
    assert pod["metadata"]["annotations"]["prometheus.io/scheme"] == "https"
    assert {port["appProtocol"] for port in service["spec"]["ports"]} == {"https"}

    options = Options(root=tmp_path, state=tmp_path / "state", claims={"model-repository": tmp_path})
    gateway = plan(documents, options).gateway
    assert gateway is not None
    files = {variable: gateway.command.files[Path(gateway.command.env[variable])] for variable in VARIABLES}
    assert files == {"TLS_CERT_FILE": "PEM of tls.crt\n", "TLS_KEY_FILE": "PEM of tls.key\n"}
    assert gateway.command.probe == "https"
