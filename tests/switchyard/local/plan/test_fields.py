from pathlib import Path
from typing import Any

import pytest

from switchyard.local.plan import fields
from switchyard.local.plan.field_tables import TABLES
from tests.switchyard.local.overlays import Stub, gateway, runtime

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "local-mode-fields.md"


def service(**predictor: Any) -> dict[str, Any]:
    document = Stub(name="chat").document()
    document["spec"]["predictor"] |= predictor
    return document


def test_the_documents_of_an_overlay_are_known() -> None:
    fields.require_known([service(), runtime(), gateway(8000)])


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (service(workerSpec={"pipelineParallelSize": 2}), "spec.predictor.workerSpec.pipelineParallelSize"),
        (service(batcher={}), "spec.predictor.batcher"),
        (service(annotations={"autoscaling.knative.dev/new": "1"}), '["autoscaling.knative.dev/new"]'),
        (service(logger={"mode": "all"}), "spec.predictor.logger.mode"),
    ],
)
def test_an_unknown_field_is_an_error_that_names_document_field_and_remedy(
    document: dict[str, Any], field: str
) -> None:
    with pytest.raises(fields.UnknownFieldError) as caught:
        fields.require_known([document])
    assert "InferenceService chat: local mode does not know the field" in str(caught.value)
    assert field in str(caught.value)
    assert "Remove these fields from the overlay" in str(caught.value)


def test_an_unknown_kind_is_an_error() -> None:
    document = {"apiVersion": "v1", "kind": "CronJob", "metadata": {"name": "nightly"}}
    assert fields.unknown(document) == ["CronJob nightly: local mode does not know the kind CronJob"]


def test_every_unknown_field_is_named_once() -> None:
    document = service(model={"modelFormat": {"name": "x"}, "env": [{"odd": 1}, {"odd": 2}], "strange": 1})
    assert [problem.rpartition(" ")[2] for problem in fields.unknown(document)] == [
        "spec.predictor.model.env[].odd",
        "spec.predictor.model.strange",
    ]


def test_annotations_of_other_programs_are_ignored() -> None:
    found = fields.find("InferenceService", 'metadata.annotations["example.org/owner"]')
    assert found is not None
    assert not found.honored


@pytest.mark.parametrize("kind", sorted(TABLES))
def test_every_entry_says_why(kind: str) -> None:
    assert all(field.note for field in TABLES[kind])


def test_no_field_is_both_honored_and_ignored() -> None:
    for kind, table in TABLES.items():
        paths = [field.path for field in table]
        assert sorted(set(paths)) == sorted(paths), kind


@pytest.mark.parametrize("path", ["a.b[].c", 'metadata.annotations["x.y/z"].d', "a[].**"])
def test_a_written_path_is_read_as_it_was(path: str) -> None:
    assert fields.write(fields.read(path)) == path


def test_the_reference_page_is_the_tables() -> None:
    assert PAGE.read_text() == fields.reference(), (
        "run: python -m switchyard.local.plan.fields > docs/reference/local-mode-fields.md"
    )
