"""An overlay that is edited while it runs: ``switchyard up`` again passes on what its mounted files have."""

import json
import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from switchyard.gateway.tenants.keys import create_key, digest
from tests.switchyard.local import overlays
from tests.switchyard.local.conftest import Local, eventually

FIRST, SECOND = create_key(), create_key()


def tenants(**keys: str) -> str:
    rows = [{"id": name, "sha256": digest(key.encode()).hex(), "roles": ["use"]} for name, key in keys.items()]
    return json.dumps({"tenants": [{"name": "acme", "keys": rows}]})


def status(local: Local, key: str) -> int:
    headers = {"authorization": f"Bearer {key}"}
    return httpx.get(f"http://127.0.0.1:{local.port}/v1/models", headers=headers, trust_env=False).status_code


def in_force(local: Local, allowed: dict[str, int]) -> bool:
    return {key: status(local, key) for key in allowed} == allowed


def is_ready(row: dict[str, Any], besides: int) -> bool:
    return bool(row["state"] == "ready" and row["pid"] != besides)


@pytest.fixture
def overlay(local: Local) -> Path:
    """A real gateway with the tenants of a Secret, which mounts them."""
    overlay = overlays.write(local.root, [], local.port)
    documents: list[dict[str, Any]] = [overlays.gateway(local.port, real=True)]
    overlays.mounts(documents[0], "tenants", "/etc/switchyard")
    container = documents[0]["spec"]["template"]["spec"]["containers"][0]
    container["env"] = [{"name": "SWITCHYARD_TENANTS", "value": "/etc/switchyard/tenants.yaml"}]
    (overlay / "documents.yaml").write_text(json.dumps(documents[0]))
    kustomization = {
        "resources": ["documents.yaml"],
        "secretGenerator": [{"name": "tenants", "files": ["tenants.yaml"]}],
    }
    (overlay / "kustomization.yaml").write_text(json.dumps(kustomization))
    (overlay / "tenants.yaml").write_text(tenants(first=FIRST))
    return overlay


def started(local: Local) -> None:
    answer = local.command("up", "overlay", "--detach")
    assert answer.returncode == 0, answer.stderr
    run = local.directory.running()
    assert run is not None
    local.runs.append(run)


def test_an_edited_secret_is_in_force_without_a_restart_and_after_one(local: Local, overlay: Path) -> None:
    started(local)
    before = local.row("gateway")["pid"]
    assert [status(local, key) for key in (FIRST, SECOND)] == [200, 401]
    for flags, keys in (["--detach"], {"second": SECOND}), ([], {"both": SECOND, "first": FIRST}):
        (overlay / "tenants.yaml").write_text(tenants(**keys))
        answer = local.command("up", "overlay", *flags)
        assert (answer.returncode, answer.stderr) == (0, "")
        assert "runs already, and the edited files are in place for gateway." in answer.stdout
        allowed = {key: 200 if key in keys.values() else 401 for key in (FIRST, SECOND)}
        eventually(partial(in_force, local, allowed), "it is in force")
    assert (local.row("gateway")["pid"], local.row("gateway")["starts"]) == (before, 1)
    assert "runs already.\n" in local.command("up", "overlay", "--detach").stdout

    os.kill(before, signal.SIGKILL)
    eventually(lambda: is_ready(local.row("gateway"), besides=before), "it is back")
    assert status(local, SECOND) == 200


def test_status_says_what_the_gateway_cannot_use_of_an_edit_until_it_is_mended(local: Local, overlay: Path) -> None:
    started(local)
    (overlay / "tenants.yaml").write_text(json.dumps({"tenants": [{"name": "acme", "keys": [{"id": "x"}], "odd": 1}]}))
    answer = local.command("up", "overlay")
    eventually(lambda: local.row("gateway")["reason"], "it is told")
    place = (
        "tenants.yaml cannot be used: tenants[0] (acme).keys[0] (x).sha256: this field is missing; "
        "tenants[0] (acme).odd: no such field"
    )
    assert answer.returncode == 1
    assert f"gateway cannot use what was edited in {overlay}, of which it has a copy: the last valid" in answer.stderr
    assert place in answer.stderr
    (shown,) = [line for line in local.command("status").stdout.splitlines() if line.startswith("gateway  ")]
    assert "  ready  " in shown
    assert "the last valid tenants stay in force: " in shown
    assert place in shown
    row = json.loads(local.command("status", "--json").stdout)["processes"]["gateway"]
    assert (row["state"], place in row["reason"], row["starts"]) == ("ready", True, 1)
    assert status(local, FIRST) == 200

    (overlay / "tenants.yaml").write_text(tenants(second=SECOND))
    assert local.command("up", "overlay").returncode == 0
    eventually(lambda: not local.row("gateway")["reason"], "it is mended")
    assert status(local, SECOND) == 200


def test_status_names_a_setting_of_the_overlay_that_nothing_reads(local: Local, overlay: Path) -> None:
    documents = overlay / "documents.yaml"
    gateway = json.loads(documents.read_text())
    gateway["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": "LOG_REQEUSTS", "value": "true"})
    documents.write_text(json.dumps(gateway))
    started(local)
    eventually(lambda: local.row("gateway")["reason"], "it is told")
    assert "LOG_REQEUSTS is no setting; did you mean LOG_REQUESTS?" in local.command("status").stdout


def test_what_only_a_cluster_reads_changes_nothing_and_what_needs_a_start_says_so(local: Local, overlay: Path) -> None:
    started(local)
    documents = overlay / "documents.yaml"
    gateway = json.loads(documents.read_text())
    gateway["metadata"]["annotations"] = {"example.com/owner": "us"}
    documents.write_text(json.dumps(gateway))
    assert "what was edited changes nothing on this machine" in local.command("up", "overlay").stdout
    gateway["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": "LOG_REQUESTS", "value": "true"})
    documents.write_text(json.dumps(gateway))
    (overlay / "tenants.yaml").write_text(tenants(second=SECOND))
    for flags in ([], ["--detach"]):
        answer = local.command("up", "overlay", *flags)
        assert answer.returncode == 1
        told = (
            "was changed after its start in more than the files that it mounts (gateway): run `switchyard down` first"
        )
        assert told in answer.stderr
    assert [status(local, key) for key in (FIRST, SECOND)] == [200, 401]
