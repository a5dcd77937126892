"""``mapPredictionsToInstances``."""

import pytest

from switchyard.router.steps.predictions import instances


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"predictions": [1, 2.50], "id": "x"}', b'{"instances":[1,2.5]}'),
        (b'{"Predictions": [1]}', b'{"instances":[1]}'),
        (b'{"predictions": [1], "PREDICTIONS": [2]}', b'{"instances":[2]}'),
        (b'{"instances": [1], "predictions": [9007199254740993]}', b'{"instances":[9007199254740993]}'),
        (b'{"instances": null, "predictions": [{"a": null}]}', b'{"instances":[{"a":null}]}'),
    ],
)
def test_predictions_become_instances_and_nothing_else_is_kept(body: bytes, expected: bytes) -> None:
    assert instances(body) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"",
        b"[1]",
        b"null",
        b'{"instances": [1]}',
        b'{"predictions": []}',
        b'{"predictions": null}',
        b'{"predictions": {"a": 1}}',
        b'{"predictions": [1], "instances": "x"}',
        b'{"nested": {"predictions": [1]}}',
    ],
)
def test_a_body_without_predictions_stays_as_it_is(body: bytes) -> None:
    assert instances(body) is body
