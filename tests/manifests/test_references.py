"""Every name in a rendered overlay leads to an object, under others' overlays too, or the check names it."""

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from switchyard.cli import app
from switchyard.local.plan.references import dangling
from switchyard.local.plan.render import render, render_text
from tests.manifests.documents import ENVIRONMENTS, ROOT, Document, Rendered, of_kind

TRANSFORMERS = ("cluster-scoped", "namespaced-urls")
# Objects that no other one names: they act by themselves, or on what they select.
NAMED_BY_NOBODY = {
    "GRPCRoute",
    "HTTPRoute",
    "HorizontalPodAutoscaler",
    "InferenceGraph",
    "Ingress",
    "LimitRange",
    "LocalModelCache",
    "Namespace",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "PodMonitor",
    "PrometheusRule",
    "ResourceQuota",
    "RoleBinding",
    "StatefulSet",
}


def over(folder: Path, environment: str, *fields: str, transformers: bool = False) -> Path:
    """An overlay of somebody else over one of ours."""
    lines = ["apiVersion: kustomize.config.k8s.io/v1beta1", "kind: Kustomization", *fields]
    places = [os.path.relpath(ROOT / "kustomize" / name, folder.resolve()) for name in TRANSFORMERS]
    ours = os.path.relpath(ROOT / "kustomize/overlays" / environment, folder.resolve())
    lines += [f"resources: [{ours}]", *([f"transformers: [{', '.join(places)}]"] if transformers else [])]
    (folder / "kustomization.yaml").write_text("\n".join(lines))
    return folder


def rendered_by_command(folder: Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["render", str(folder)])
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_name_leads_to_an_object(rendered: Rendered, environment: str) -> None:
    assert dangling(rendered[environment]) == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_another_namespace_leads_every_name_to_it(tmp_path: Path, environment: str) -> None:
    folder = over(tmp_path, environment, "namespace: team", transformers=True)
    code, text, _ = rendered_by_command(folder)

    assert (code, text) == (0, render_text(folder))
    assert dangling(render(folder)) == []
    assert f"switchyard-{environment}" not in text


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_another_namespace_without_our_transformers_is_told_what_it_lacks(tmp_path: Path, environment: str) -> None:
    code, text, problems = rendered_by_command(over(tmp_path, environment, "namespace: team"))

    assert (code, text) == (1, "")
    assert f"chat-fast-predictor is not in namespace switchyard-{environment} here" in problems
    assert "ClusterServingRuntime switchyard-vllm: metadata.namespace is team; the kind is cluster-wide" in problems
    assert problems.splitlines()[-1].endswith("the second has a line for each graph.")


@pytest.mark.parametrize("field", ["namePrefix: team-", "nameSuffix: -team"])
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_prefix_or_suffix_of_names_is_rejected_with_a_reason(tmp_path: Path, environment: str, field: str) -> None:
    code, text, problems = rendered_by_command(over(tmp_path, environment, field))

    assert (code, text) == (1, "")
    assert "names ClusterServingRuntime switchyard-vllm, which the overlay does not have" in problems
    assert "the overlay has no PersistentVolumeClaim model-repository" in problems
    assert "is DEFAULT_MODEL=chat-fast, and the overlay serves no model chat-fast" in problems
    assert "leave namePrefix and nameSuffix out" in problems.splitlines()[-1]


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_an_object_of_another_name_is_missed_by_whoever_names_it(rendered: Rendered, environment: str) -> None:
    """Each object in turn gets another name; the kinds that nobody names are listed above."""
    documents = rendered[environment]
    unmissed = {
        f"{document['kind']} {document['metadata']['name']}"
        for position, document in enumerate(documents)
        if document["kind"] not in NAMED_BY_NOBODY and not dangling(renamed(documents, position))
    }

    # Some services are asked by clients only; dev's gateways have no autoscaler that would name the Deployment.
    graphs = json.dumps([*of_kind(documents, "InferenceGraph").values()])
    services = of_kind(documents, "InferenceService")
    alone = {f"InferenceService {name}" for name in services if f"//{name}-predictor." not in graphs}
    assert {"InferenceService embed", "InferenceService vision"} <= alone
    alone_in_dev = {"Deployment gateway", "Deployment repository-sync", "ConfigMap model-repository-status"}
    devices = {f"ConfigMap {name}" for name in of_kind(documents, "ConfigMap") if name.startswith("model-device-")}
    assert len(devices) == 1  # which only a repository sync reads: prod has none
    boards = {f"ConfigMap {name}" for name in of_kind(documents, "ConfigMap") if name.endswith("-board")}
    assert boards  # which Grafana's sidecar finds by a label
    expected = alone | boards | (alone_in_dev if environment == "dev" else devices)
    assert unmissed == expected, f"named by nobody, or named and not missed: {', '.join(sorted(unmissed ^ expected))}"


def renamed(documents: list[Document], position: int) -> list[Document]:
    changed: Any = copy.deepcopy(documents[position])
    changed["metadata"]["name"] += "-other"
    return [*documents[:position], changed, *documents[position + 1 :]]


@pytest.mark.parametrize(
    ("kind", "name", "path", "value", "problem"),
    [
        ("Service", "gateway", ["spec", "selector"], {"app": "x"}, "selects no pod"),
        ("Deployment", "gateway", ["spec", "selector"], {"matchLabels": {"app": "x"}}, "selects no pod"),
        ("PodDisruptionBudget", "steps", ["spec", "selector"], {"matchLabels": {"app": "x"}}, "selects no pod"),
        ("NetworkPolicy", "gateway", ["spec", "podSelector"], {"matchLabels": {"app": "x"}}, "selects no pod"),
        (
            "NetworkPolicy",
            "clients",
            ["spec", "egress", 0, "to", 0, "podSelector", "matchLabels"],
            {"a": "b"},
            "egress",
        ),
        ("InferenceService", "embed", ["spec", "predictor", "priorityClassName"], "high", "PriorityClass high"),
        ("InferenceService", "embed", ["spec", "predictor", "runtimeClassName"], "gpu", None),
        ("InferenceService", "embed", ["metadata", "namespace"], "other", "in another namespace"),
        ("InferenceGraph", "auto", ["spec", "serviceAccountName"], "graphs", "ServiceAccount graphs"),
        ("HTTPRoute", "gateway", ["spec", "rules", 0, "backendRefs", 0, "name"], "gatewy", "Service gatewy"),
    ],
)
def test_a_reference_that_leads_nowhere_is_found(
    rendered: Rendered, kind: str, name: str, path: list[str | int], value: object, problem: str | None
) -> None:
    documents: Any = copy.deepcopy(rendered["prod"])
    target = of_kind(documents, kind)[name]
    for step in path[:-1]:
        target = target[step]  # type: ignore[index]
    target[path[-1]] = value  # type: ignore[index]

    found = [one.text for one in dangling(documents)]
    assert (found == []) if problem is None else any(problem in text for text in found)


def test_the_port_of_a_service_url_in_settings_is_checked(rendered: Rendered) -> None:
    for url, problem in (("redis://redis:6380", "ports are 6379"), ("redis://rediss:6379", "no service rediss")):
        setting = {
            "kind": "ConfigMap",
            "metadata": {"name": "x", "namespace": "switchyard-dev"},
            "data": {"A_URL": url},
        }
        assert [problem in one.text for one in dangling([*rendered["dev"], setting])] == [True]
