"""What the repository sync writes, and what the gateway makes of it, over a real client and real HTTP."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from kubernetes.client import ApiClient, Configuration

from switchyard.catalog import State
from switchyard.cluster import repository_status
from switchyard.cluster.api import ApiServerError
from switchyard.cluster.objects import catalog_of
from switchyard.cluster.publishing import ClusterReporter, Derivation, Namespace
from switchyard.repository.service import DERIVED_LABEL
from switchyard.repository.status import STATUS, ModelStatus, RepositoryStatus, StatusError
from switchyard.repository.verdict import Facts, FaultCode, Memory
from tests.live.processes import eventually
from tests.switchyard.cluster.api_server import NAMESPACE, ApiServer, serving
from tests.switchyard.cluster.documents import READY, service
from tests.switchyard.cluster.test_source import following, names

SERVICES, CONFIG_MAPS = "inferenceservices", "configmaps"
CHAT = ModelStatus(
    group="llm",
    name="tiny",
    phase="published",
    digest="a" * 64,
    facts=Facts(
        format="huggingface",
        kind="llm",
        bytes=10,
        memory=Memory(weights=10),
        context_length=512,
        license="mit",
        config="x" * 1000,
    ),
)
DIGITS = ModelStatus(
    group="vision",
    name="digits",
    phase="published",
    digest="b" * 64,
    facts=Facts(format="onnx", kind="vision", bytes=10, memory=Memory(weights=10), versions=("1", "2")),
)
BROKEN = ModelStatus(group="vision", name="broken", phase="failed", reason="1/model.onnx is missing: copy it.")
ALL = RepositoryStatus((CHAT, DIGITS, BROKEN))


@pytest.fixture
def server() -> ApiServer:
    found = ApiServer()
    found.put(CONFIG_MAPS, {"metadata": {"name": repository_status.NAME}})
    return found


@pytest.fixture
def namespace(server: ApiServer) -> Iterator[Namespace]:
    with serving(server) as port:
        configuration = Configuration()
        configuration.host = f"http://127.0.0.1:{port}"
        configuration.retries = False
        yield Namespace(ApiClient(configuration), NAMESPACE, Derivation(gpus=1))


def vision() -> dict[str, object]:
    document = service("vision", "vision", status=READY, models="annotated")
    document["spec"]["predictor"]["model"]["storageUri"] = "pvc://model-repository-published"
    return document


def test_a_published_language_model_gets_a_service_of_its_content_and_loses_it(
    server: ApiServer, namespace: Namespace
) -> None:
    namespace.write(ALL)
    made = server.get(SERVICES, "tiny")
    assert made
    predictor = made["spec"]["predictor"]
    assert predictor["model"]["storageUri"] == f"pvc://model-repository-published/.objects/llm/tiny/{'a' * 64}"
    assert predictor["model"]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert predictor["serviceAccountName"] == "predictor"

    namespace.write(ALL)
    assert server.writes.count("inferenceservices/tiny") == 1

    namespace.write(RepositoryStatus((replace(CHAT, digest="c" * 64), DIGITS)))
    changed = server.get(SERVICES, "tiny")
    assert changed
    assert "c" * 64 in changed["spec"]["predictor"]["model"]["storageUri"]

    namespace.write(RepositoryStatus((DIGITS,)))
    assert server.get(SERVICES, "tiny") is None


def test_a_service_that_a_person_wrote_is_neither_changed_nor_removed(server: ApiServer, namespace: Namespace) -> None:
    server.put(SERVICES, service("tiny"))
    before = server.get(SERVICES, "tiny")
    namespace.write(ALL)
    namespace.write(RepositoryStatus())
    assert server.get(SERVICES, "tiny") == before


def test_the_gateway_lists_what_the_folders_are_and_why_they_are_not(server: ApiServer, namespace: Namespace) -> None:
    server.put(SERVICES, vision())
    namespace.write(ALL)
    with serving(server) as port, following(port) as source:
        eventually(lambda: "digits" in names(source), "the status arrives", 20)
        catalog = source.current()
        assert {name: model.state.phase for name, model in catalog.models.items()} == {
            "digits": "ready",
            "broken": "failed",
            "tiny": "waking",
        }
        assert catalog.models["broken"].state.reason == "1/model.onnx is missing: copy it."
        assert catalog.models["digits"].versions == ("1", "2")
        server.delete(CONFIG_MAPS, repository_status.NAME)
        eventually(lambda: "annotated" in names(source), "the annotation counts again", 20)


def test_a_language_model_without_a_service_says_why() -> None:
    failed = ModelStatus(group="llm", name="large", phase="failed", reason="It does not fit.")
    found = catalog_of([], [], [], {}, repository=RepositoryStatus((CHAT, failed))).models
    assert (found["large"].state.phase, found["large"].state.reason) == ("failed", "It does not fit.")
    assert (found["tiny"].state.phase, found["tiny"].kind) == ("pending", "llm")


def test_a_second_folder_with_a_taken_name_fails_alone_and_its_owner_serves_on() -> None:
    owner = service("tiny", status=READY)
    owner["spec"]["predictor"]["model"]["storageUri"] = "pvc://model-repository-published/llm/tiny"
    taken = ModelStatus(group="vision", name="tiny", phase="failed", code=FaultCode.NAME, reason="It is taken.")
    digits = replace(taken, group="llm", name="digits")
    before = catalog_of([owner, vision()], [], [], {}, repository=RepositoryStatus((CHAT, DIGITS))).models
    found = catalog_of([owner, vision()], [], [], {}, repository=RepositoryStatus((taken, CHAT, digits, DIGITS))).models
    assert {name: found[name] for name in before} == before
    assert before["tiny"].card is not None
    added = {name: found[name].state for name in found.keys() - before.keys()}
    assert added == dict.fromkeys(("vision/tiny", "llm/digits"), State(phase="failed", reason="It is taken."))
    arriving = replace(digits, phase="checking", code=None)
    found = catalog_of([vision()], [], [], {}, repository=RepositoryStatus((arriving, DIGITS))).models
    assert found["digits"] == before["digits"]


def test_an_ensemble_has_failed_while_a_model_that_it_calls_is_away() -> None:
    assert DIGITS.facts
    pair = replace(DIGITS, name="pair", facts=replace(DIGITS.facts, steps=("digits",)))
    found = catalog_of([vision()], [], [], {}, repository=RepositoryStatus((pair,))).models["pair"].state
    assert (found.phase, "the model digits that it calls is away" in found.reason) == ("failed", True)
    found = catalog_of([vision()], [], [], {}, repository=RepositoryStatus((pair, DIGITS))).models["pair"].state
    assert found.phase == "ready"


def test_a_service_that_reads_another_place_is_not_told_what_the_folders_are() -> None:
    found = catalog_of([service("vision", "vision", models="own")], [], [], {}, repository=ALL).models
    assert set(found) == {"own", "tiny"}


def test_a_status_that_a_config_map_cannot_hold_is_said() -> None:
    many = RepositoryStatus(tuple(replace(BROKEN, name=f"m{n}", reason="x" * 2000) for n in range(600)))
    with pytest.raises(StatusError, match="the status of 600 models"):
        repository_status.data(many)


def test_two_hundred_models_fit_a_config_map() -> None:
    many = RepositoryStatus(tuple(replace(CHAT, name=f"model-{n}", reason="x" * 300) for n in range(200)))
    assert len(repository_status.data(many)[STATUS]) < 500_000


def test_a_config_map_that_is_no_status_is_said_and_left_out() -> None:
    said: list[str] = []
    broken = {"metadata": {"name": repository_status.NAME}, "data": {STATUS: "{"}}
    assert repository_status.of([broken], said.append) is None
    assert "not a status.json" in said[0]


async def test_the_newest_status_is_written_when_the_server_is_back(server: ApiServer, namespace: Namespace) -> None:
    server.rejection = 503
    with pytest.raises(ApiServerError, match="503"):
        namespace.write(ALL)
    reporter = ClusterReporter(namespace)
    await reporter.report(RepositoryStatus((BROKEN,)))
    await reporter.report(ALL)
    server.rejection = None
    await asyncio.wait_for(arrived(server), 20)
    await reporter.close()


async def arrived(server: ApiServer) -> None:
    while not (server.get(SERVICES, "tiny") or {}).get("metadata", {}).get("labels", {}).get(DERIVED_LABEL):
        await asyncio.sleep(0.02)
