"""What a cluster gets of the boards: ConfigMaps for a sidecar, and objects for grafana-operator that name them."""

import pytest
import yaml

from dashboards.__main__ import FOLDER
from dashboards.boards import BOARDS
from switchyard.local.plan.render import render
from tests.manifests.documents import COMPONENTS, Document, of_kind

LARGEST = 1 << 20  # bytes that a ConfigMap may hold


@pytest.fixture(scope="module")
def config_maps() -> dict[str, Document]:
    return of_kind(render(FOLDER), "ConfigMap")


def test_each_board_is_a_config_map_that_the_sidecar_finds(config_maps: dict[str, Document]) -> None:
    texts = {key: text for document in config_maps.values() for key, text in document["data"].items()}
    assert texts == {path.name: path.read_text() for path in (FOLDER / "grafana").glob("*.json")}
    assert len(config_maps) == len(texts) == len(BOARDS)
    for document in config_maps.values():
        assert document["metadata"]["labels"] == {"grafana_dashboard": "1"}
        assert document["metadata"]["annotations"] == {"grafana_folder": "Switchyard"}
        assert sum(map(len, document["data"].values())) < LARGEST


def test_the_operators_objects_name_keys_that_are_there(config_maps: dict[str, Document]) -> None:
    found = render(FOLDER / "grafana-operator")
    named = [document["spec"]["configMapRef"] for document in found]
    assert {document["kind"] for document in found} == {"GrafanaDashboard"}
    assert sorted((name, *document["data"]) for name, document in config_maps.items()) == sorted(
        (reference["name"], reference["key"]) for reference in named
    )


def test_the_component_brings_the_operators_objects() -> None:
    component = yaml.safe_load((COMPONENTS / "grafana-operator/kustomization.yaml").read_text())
    assert [(COMPONENTS / "grafana-operator" / path).resolve() for path in component["resources"]] == [
        FOLDER / "grafana-operator"
    ]
