"""compose.yaml runs what the local overlay describes, from a fresh clone: same commands, settings, images, catalog."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from switchyard.catalog import Catalog, describe
from switchyard.local.plan.plan import plan
from switchyard.local.plan.workloads import Options
from switchyard.repository import weights
from tests.manifests.documents import ROOT, Rendered, containers, of_kind

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
MODELS = sorted(SERVICES.keys() - {"gateway", "weights"})


@pytest.fixture
def commands(rendered: Rendered) -> dict[str, list[str]]:
    """What each workload of the local overlay runs, with a pod's paths and ports."""
    mount = Path("/mnt/models")
    options = Options(root=ROOT, state=Path("/run"), claims={"model-repository": mount}, python="python")
    planned = plan(rendered["local"], options)
    argv = {item.name: list(item.command.argv) for item in planned.services}
    argv |= {item.name: list(item.command.argv) for item in planned.deployments}
    return {name: [text.replace(f"{mount}/llm/{name}", str(mount)) for text in texts] for name, texts in argv.items()}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_runs_the_command_of_its_overlay(commands: dict[str, list[str]], name: str) -> None:
    assert SERVICES[name]["command"] == commands[name]
    assert SERVICES[name]["env_file"] == f"manifests/services/{name}/settings.env"
    source = name if name in COMPOSE["volumes"] else f"./model-repository/llm/{name}"
    assert SERVICES[name]["volumes"] == [f"{source}:/mnt/models:ro"]


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_ready_when_a_pod_would_be(rendered: Rendered, name: str) -> None:
    probe = containers(of_kind(rendered["local"], "ClusterServingRuntime")["switchyard-vllm"])[0]["readinessProbe"]
    path = probe["httpGet"]["path"].replace("{{.Name}}", name)

    assert f"'http://127.0.0.1:{probe['httpGet']['port']}{path}'" in SERVICES[name]["healthcheck"]["test"][-1]
    assert SERVICES["gateway"]["depends_on"][name] == {"condition": "service_healthy"}


def test_who_reads_of_it_is_told_which_models_there_are() -> None:
    quickstart = (ROOT / "docs/quickstart.md").read_text().partition("`docker compose up --build`")[2]
    told = (ROOT / "compose.yaml").read_text().partition(" of the local overlay")[0]
    assert sorted(re.findall(r"`([\w-]+)`", quickstart)) == MODELS
    assert sorted(re.findall(r"[\w-]+", told.rpartition(": ")[2].replace(" and ", " "))) == MODELS


def test_the_gateway_runs_its_command_beyond_its_container(commands: dict[str, list[str]]) -> None:
    expected = [text.replace("--host=127.0.0.1", "--host=0.0.0.0") for text in commands["gateway"]]

    assert SERVICES["gateway"]["command"] == expected
    assert all(port.startswith("127.0.0.1:") for port in SERVICES["gateway"]["ports"]), "it checks no keys"


def test_images_and_variables_are_those_of_the_overlay(rendered: Rendered) -> None:
    runtime = containers(of_kind(rendered["local"], "ClusterServingRuntime")["switchyard-vllm"])[0]
    gateway = containers(of_kind(rendered["local"], "Deployment")["gateway"])[0]

    assert {SERVICES[name]["image"] for name in MODELS} == {runtime["image"]}
    assert SERVICES["gateway"]["image"] == gateway["image"]
    assert all(
        SERVICES[name]["environment"] == {item["name"]: item["value"] for item in runtime["env"]} for name in MODELS
    )


def test_the_catalog_lists_what_is_there_as_a_cluster_would(rendered: Rendered) -> None:
    listed = Catalog.loads((ROOT / COMPOSE["configs"]["catalog"]["file"]).read_text())
    services = of_kind(rendered["local"], "InferenceService")

    assert sorted(listed.models) == MODELS
    for name, model in listed.models.items():
        url, grpc = f"http://{name}:8080", f"{name}:8080"
        described = describe(services[name], url=url, grpc=grpc, state=model.state)
        assert model == replace(described, revision=model.revision)  # what is in a file by hand has none
        assert model.state.phase == "ready"


def test_all_that_compose_takes_from_the_tree_is_in_a_fresh_clone() -> None:
    tracked = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    mounts = [mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", ())]
    folders = [mount.removeprefix("./") for mount in mounts if mount.startswith("./")]
    taken = [*folders, *(config["file"].removeprefix("./") for config in COMPOSE["configs"].values())]
    taken += [service["env_file"] for service in SERVICES.values() if "env_file" in service]
    taken += re.findall(r"(?:^COPY (?!--from)|source=)([\w./-]+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)

    assert [path for path in taken if not any(f"{one}/".startswith(f"{path}/") for one in tracked)] == []
    assert [path for path in folders if (ROOT / path / weights.LOCK).exists()] == [], "its weights are not in git"
    stages = re.findall(r"^FROM \S+ AS (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert {service["build"]["target"] for service in SERVICES.values()} <= {*stages}


@pytest.mark.parametrize("name", COMPOSE["volumes"])
def test_what_is_not_in_a_clone_is_brought_by_a_service_before_its_model_starts(name: str) -> None:
    lock = weights.read(ROOT / f"model-repository/llm/{name}" / weights.LOCK)
    path = lock.path.relative_to(ROOT)

    assert SERVICES["weights"]["volumes"] == [f"{name}:/models", f"./{path}:/models/{weights.LOCK}:ro"]
    assert SERVICES[name]["depends_on"] == {"weights": {"condition": "service_completed_successfully"}}
    (stage,) = re.findall(r"^FROM services AS weights\n(.*?)^FROM", (ROOT / "Dockerfile").read_text(), re.M | re.S)
    assert f" --no-deps {lock.package}=={lock.version} " in stage


def test_every_container_is_without_rights_and_cannot_write_its_root() -> None:
    for name, service in SERVICES.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges" in service["security_opt"], name


def test_what_compose_puts_into_a_container_that_cannot_write_is_a_file() -> None:
    assert [source.keys() for source in COMPOSE["configs"].values()] == [{"file"}]  # else `up` rejects it
