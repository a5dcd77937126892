"""The catalog that a cluster's objects describe is the one that local mode plans from the same documents."""

from pathlib import Path

import pytest

from switchyard.catalog import Model, hosted, hosts_repository
from switchyard.cluster.objects import annotated, catalog_of
from switchyard.local.plan.plan import plan
from switchyard.local.plan.render import render
from switchyard.local.plan.workloads import Options, Service
from tests.manifests.documents import ENVIRONMENTS, OVERLAYS, ROOT, of_kind

MODELS = ROOT / "model-repository"


def described(model: Model) -> tuple[object, ...]:
    """What does not depend on where it runs."""
    return model.kind, model.context_length, model.accepts_images, model.concurrency


def served(service: Service) -> list[Model]:
    if service.hosts:
        return hosted(service.model, MODELS / service.name)
    return [service.model] if service.model.kind != "step" else []


def test_names_and_descriptions_are_the_same(tmp_path: Path) -> None:
    documents = render(OVERLAYS / "local")
    options = Options(root=ROOT, state=tmp_path, claims={"model-repository": MODELS})
    here = {model.name: model for service in plan(documents, options).services for model in served(service)}
    services, graphs = (of_kind(documents, kind).values() for kind in ("InferenceService", "InferenceGraph"))
    there = catalog_of(services, graphs, [], {}).models
    assert {name: described(model) for name, model in there.items()} == {
        name: described(model) for name, model in here.items()
    }


@pytest.mark.parametrize("overlay", ENVIRONMENTS)
def test_the_annotation_of_a_repository_names_what_lies_in_it(overlay: str) -> None:
    hosts = [one for one in of_kind(render(OVERLAYS / overlay), "InferenceService").values() if hosts_repository(one)]
    assert [one["metadata"]["name"] for one in hosts] == ["vision"]
    for one in hosts:
        lying = hosted(Model(name="", kind="vision", url=""), MODELS / one["metadata"]["name"])
        assert annotated(one) == [model.name for model in lying]
