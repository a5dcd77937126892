"""Every object has only fields of its own schema, of the right type: Kubernetes' or that of the kind's own project."""

import copy
import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from tests.manifests.documents import ENVIRONMENTS, ROOT, Document, Rendered, render_optional

SCHEMAS = ROOT / "tests/testdata/schemas"
KINDS = sorted(path.stem for path in SCHEMAS.glob("*.json"))


def problems(document: Document) -> list[str]:
    schema = json.loads((SCHEMAS / f"{document['kind'].lower()}.json").read_text())
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(document)]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_object_fits_its_schema(rendered: Rendered, environment: str) -> None:
    found = rendered[environment]

    assert {document["kind"].lower() for document in found} <= {*KINDS}
    assert {f"{document['kind']} {document['metadata']['name']}": problems(document) for document in found} == {
        f"{document['kind']} {document['metadata']['name']}": [] for document in found
    }


def test_what_no_overlay_has_fits_its_schema_too() -> None:
    found = render_optional()

    assert {f"{one['kind']} {one['metadata']['name']}": problems(one) for one in found if problems(one)} == {}
    assert "GrafanaDashboard" in {one["kind"] for one in found}


def test_no_schema_is_left_over(rendered: Rendered) -> None:
    used = [document for documents in rendered.values() for document in documents]
    used += render_optional()
    assert {document["kind"].lower() for document in used} == {*KINDS}


@pytest.mark.parametrize(
    ("field", "value"),
    [("minReplica", 0), ("containerConcurrency", "32"), ("scaleMetric", "requests"), ("timeout", 1.5)],
)
def test_a_misspelled_or_mistyped_field_of_a_service_is_found(rendered: Rendered, field: str, value: object) -> None:
    service: Any = copy.deepcopy(next(item for item in rendered["local"] if item["kind"] == "InferenceService"))
    service["spec"]["predictor"][field] = value

    assert problems(service)


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("NetworkPolicy", "policyType", ["Ingress"]),
        ("NetworkPolicy", "policyTypes", "Ingress"),
        ("Deployment", "replica", 2),
        ("Deployment", "replicas", "2"),
        ("HorizontalPodAutoscaler", "maxReplicas", None),
        ("PodDisruptionBudget", "minAvailible", 1),
        ("HTTPRoute", "rule", []),
    ],
)
def test_a_misspelled_or_mistyped_field_of_anything_else_is_found(
    rendered: Rendered, kind: str, field: str, value: object
) -> None:
    document: Any = copy.deepcopy(next(item for item in rendered["prod"] if item["kind"] == kind))
    document["spec"][field] = value

    assert problems(document)
