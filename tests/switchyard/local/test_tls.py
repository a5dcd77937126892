"""``switchyard up`` of a gateway with TLS: by flags, and as an overlay says it."""

import json
import ssl

import httpx
import pytest

from tests.switchyard.http.certificates import Authority
from tests.switchyard.local import overlays
from tests.switchyard.local.conftest import Local, eventually


@pytest.fixture
def authority(local: Local) -> Authority:
    return Authority("ours", local.root)


def up(local: Local, *flags: str) -> str:
    answer = local.command("up", "overlay", "--detach", *flags)
    assert answer.returncode == 0, answer.stderr
    run = local.directory.running()
    assert run is not None
    local.runs.append(run)
    return answer.stdout


def test_files_that_the_command_names_are_the_gateways(local: Local, authority: Authority) -> None:
    overlays.write(local.root, [], local.port, real_gateway=True)
    served, other = authority.issue("gateway"), authority.issue("other")
    flags = ("--tls-cert", served.certificate.name, "--tls-key", served.key.name)  # relative to the working directory
    url = f"https://127.0.0.1:{local.port}"
    said = up(local, *flags)
    assert f"Serving at {url}. Try:\n  curl -k {url}/v1/models" in said
    known = ssl.create_default_context(cafile=str(authority.path))
    with httpx.Client(verify=known, trust_env=False) as client:
        assert client.get(f"{url}/readyz").status_code == 200
    with pytest.raises(httpx.TransportError):
        httpx.get(url.replace("https", "http") + "/readyz", trust_env=False)
    shown = local.command("status").stdout
    assert f"gateway {url}," in shown
    eventually(lambda: local.row("gateway")["reason"], "it is told")
    assert local.row("gateway")["reason"] == f"the certificate {served.certificate} expires in 1.0 days"
    for again in (), flags, ("--port", str(local.port)):
        assert "runs already.\n" in up(local, *again)

    differs = local.command("up", "overlay", "-d", "--tls-cert", other.certificate.name, "--tls-key", other.key.name)
    assert differs.returncode == 1
    assert (
        f"runs already, and its certificate is not {other.certificate}: run `switchyard down` first" in differs.stderr
    )
    half = local.command("up", "overlay", "-d", "--tls-cert", other.certificate.name)
    assert (half.returncode, "needs both --tls-cert and --tls-key" in half.stderr) == (1, True)


def test_files_that_do_not_fit_are_told(local: Local, authority: Authority) -> None:
    overlays.write(local.root, [], local.port, real_gateway=True)
    served, other = authority.issue("gateway"), authority.issue("other")
    answer = local.command("up", "overlay", "-d", "--tls-cert", str(served.certificate), "--tls-key", str(other.key))
    assert answer.returncode == 1
    assert "are no certificate and its plain key: KEY_VALUES_MISMATCH" in answer.stderr


def test_an_overlay_that_asks_clients_for_certificates_comes_up(local: Local, authority: Authority) -> None:
    overlay = overlays.write(local.root, [], local.port)
    served, client = authority.issue("gateway"), authority.issue("client")
    for name, path in {"tls.crt": served.certificate, "tls.key": served.key, "ca.crt": authority.path}.items():
        (overlay / name).write_bytes(path.read_bytes())
    gateway = overlays.gateway(local.port, real=True)
    overlays.mounts(gateway, "certificate", "/etc/tls")
    gateway["spec"]["template"]["spec"]["containers"][0]["env"] = [
        {"name": "TLS_CERT_FILE", "value": "/etc/tls/tls.crt"},
        {"name": "TLS_KEY_FILE", "value": "/etc/tls/tls.key"},
        {"name": "TLS_CLIENT_CA_FILE", "value": "/etc/tls/ca.crt"},
    ]
    (overlay / "documents.yaml").write_text(json.dumps(gateway))
    secret = {"name": "certificate", "files": ["tls.crt", "tls.key", "ca.crt"]}
    (overlay / "kustomization.yaml").write_text(
        json.dumps({"resources": ["documents.yaml"], "secretGenerator": [secret]})
    )
    up(local)
    known = ssl.create_default_context(cafile=str(authority.path))
    known.load_cert_chain(client.certificate, client.key)
    with httpx.Client(verify=known, trust_env=False) as https:
        assert https.get(f"https://127.0.0.1:{local.port}/readyz").status_code == 200
