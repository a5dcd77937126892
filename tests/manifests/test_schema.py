"""KServe's objects have only fields that KServe's own CRDs have, of the right type."""

import copy
import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from tests.manifests.documents import ENVIRONMENTS, ROOT, Document, Rendered

SCHEMAS = ROOT / "tests/testdata/schemas"
KINDS = sorted(path.stem for path in SCHEMAS.glob("*.json"))


def problems(document: Document) -> list[str]:
    schema = json.loads((SCHEMAS / f"{document['kind'].lower()}.json").read_text())
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(document)]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_kserve_object_fits_its_schema(rendered: Rendered, environment: str) -> None:
    found = [document for document in rendered[environment] if document["apiVersion"].startswith("serving.kserve.io/")]

    assert {document["kind"].lower() for document in found} == set(KINDS)
    assert {document["metadata"]["name"]: problems(document) for document in found if problems(document)} == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [("minReplica", 0), ("containerConcurrency", "32"), ("scaleMetric", "requests"), ("timeout", 1.5)],
)
def test_a_misspelt_or_mistyped_field_is_found(rendered: Rendered, field: str, value: object) -> None:
    service: Any = copy.deepcopy(next(item for item in rendered["local"] if item["kind"] == "InferenceService"))
    service["spec"]["predictor"][field] = value

    assert problems(service)
