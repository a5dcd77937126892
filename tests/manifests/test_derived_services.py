"""Services that are derived from folders follow every rule that those written by hand do."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from switchyard.local.plan.plan import plan
from switchyard.local.plan.render import render
from switchyard.local.plan.workloads import Options
from switchyard.repository.service import Place, derived, files
from switchyard.repository.verdict import Facts, Memory
from tests.manifests import test_policy
from tests.manifests.documents import SERVICES, Document, of_kind, settings
from tests.manifests.test_overlays_build import copy_of_the_tree
from tests.manifests.test_schema import problems

GIB = 1024**3
DROPPED = {
    "my-chat": Facts(
        format="huggingface",
        kind="llm",
        bytes=6 * GIB,
        memory=Memory(weights=6 * GIB, kv_cache=GIB),
        context_length=512,
    ),
    "my-embed": Facts(
        format="huggingface", kind="embedding", bytes=GIB, memory=Memory(weights=GIB), context_length=128
    ),
}
RULES = [
    test_policy.test_a_service_has_one_name_everywhere,
    test_policy.test_a_service_says_how_it_is_deployed_and_where_its_model_lies,
    test_policy.test_a_service_can_be_listed_in_the_catalog,
    test_policy.test_the_context_length_that_is_listed_is_the_one_that_the_engine_gets,
    test_policy.test_a_service_scales_within_what_knative_allows,
    test_policy.test_the_start_up_probe_waits_as_long_as_knative_does,
]


@pytest.fixture(scope="module", params=["local", "prod"])
def documents(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Document]:
    tree = copy_of_the_tree(tmp_path_factory.mktemp("tree"))
    listed = tree / "manifests/services/kustomization.yaml"
    for name, facts in DROPPED.items():
        folder = listed.parent / name
        folder.mkdir()
        for file, text in files(name, facts).items():
            (folder / file).write_text(text)
        listed.write_text(f"{listed.read_text()}  - {name}\n")
    return render(tree / "kustomize/overlays" / request.param)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__.removeprefix("test_"))
def test_a_rule_for_services_holds(documents: list[Document], rule: Any) -> None:
    assert DROPPED.keys() <= of_kind(documents, "InferenceService").keys()
    rule(documents)


def test_they_fit_the_schema(documents: list[Document]) -> None:
    services = of_kind(documents, "InferenceService")
    objects = [derived(name, facts, Place(namespace="apart", gpus=1)) for name, facts in DROPPED.items()]

    assert [fault for name in DROPPED for fault in problems(services[name])] == []
    assert [fault for document in objects for fault in problems(document)] == []


@pytest.mark.parametrize("documents", ["local"], indirect=True)
def test_local_mode_plans_them_as_it_does_those_written_by_hand(documents: list[Document], tmp_path: Path) -> None:
    options = Options(root=tmp_path, state=tmp_path, claims={"model-repository": tmp_path})

    planned = {service.name: service for service in plan(documents, options).services}

    assert planned["my-chat"].model_dir == tmp_path / "llm/my-chat"
    # As those of the services beside them: what an overlay says of services reaches derived ones.
    assert planned["my-chat"].scale == planned["chat-fast"].scale
    assert planned["my-embed"].scale == planned["embed"].scale
    assert planned["my-chat"].command.env.keys() == planned["chat-fast"].command.env.keys()


@pytest.mark.parametrize(("name", "like"), [("my-chat", "chat-fast"), ("my-embed", "embed")])
def test_they_differ_from_those_written_by_hand_in_what_the_model_decides(name: str, like: str, tmp_path: Path) -> None:
    written = files(name, DROPPED[name])
    (tmp_path / "settings.env").write_text(written["settings.env"])
    ours = yaml.safe_load(written["inferenceservice.yaml"])
    theirs = yaml.safe_load((SERVICES / like / "inferenceservice.yaml").read_text())
    for service in (ours, theirs):
        service["spec"]["predictor"].pop("model")
        service["metadata"]["annotations"].pop("switchyard.dev/context-length")
        service["metadata"].pop("name")

    assert ours == theirs
    assert settings(tmp_path / "settings.env") == settings(SERVICES / like / "settings.env")
