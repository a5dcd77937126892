"""The configurations that an operator may send with a load."""

import json
from typing import Any

import pytest

from predictors.vision.triton.config_override import MOST_BYTES, MOST_INSTANCES, overridden
from switchyard.http.api_errors import ApiError

# As Triton has it of a loaded model.
OWN: dict[str, Any] = {
    "name": "digits",
    "platform": "",
    "backend": "onnxruntime",
    "default_model_filename": "model.onnx",
    "optimization": {"priority": "PRIORITY_DEFAULT", "eager_batching": False, "gather_kernel_buffer_threshold": 0},
    "max_batch_size": 8,
    "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": ["64"]}],
    "output": [{"name": "y", "data_type": "TYPE_FP32", "dims": ["10"], "label_filename": "labels.txt"}],
    "instance_group": [{"name": "digits", "kind": "KIND_CPU", "count": 1}],
    "parameters": {"execution_mode": {"string_value": "1"}},
}


@pytest.mark.parametrize(
    "given",
    [
        {"max_batch_size": 2},
        {"instance_group": [{"kind": "KIND_CPU", "count": 2}, {"kind": "KIND_CPU"}]},
        {"dynamic_batching": {"max_queue_delay_microseconds": 100}},
        {"version_policy": {"specific": {"versions": [1]}}},
        {"input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [64]}]},
        {"input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [-1], "reshape": {"shape": []}}]},
        {"output": [{"name": "y", "data_type": "TYPE_FP32", "dims": [10], "label_filename": "labels.txt"}]},
        {"parameters": {**OWN["parameters"], "intra_op_thread_count": {"string_value": "2"}}},
        {"backend": "onnxruntime", "max_batch_size": 1},
        {"optimization": {"priority": "PRIORITY_DEFAULT"}, "model_warmup": []},
        OWN,
    ],
    ids=str,
)
def test_fields_that_may_change_take_the_place_of_the_models_own(given: dict[str, Any]) -> None:
    assert json.loads(overridden(OWN, json.dumps(given))) == {**OWN, **given}


# What each would do, were it taken.
REJECTED: dict[str, tuple[dict[str, Any], str]] = {
    "another backend": ({"backend": "python"}, "'backend'"),
    "a file elsewhere": ({"default_model_filename": "../../x"}, "'default_model_filename'"),
    "another model": ({"name": "ocr"}, "'name'"),
    "an environment to unpack and run": (
        {"parameters": {**OWN["parameters"], "EXECUTION_ENV_PATH": {"string_value": "/tmp/x.tar.gz"}}},
        "'EXECUTION_ENV_PATH'",
    ),
    "a parameter that is left out": ({"parameters": {}}, "'execution_mode'"),
    "a library of the folder": ({"runtime": "libx.so"}, "'runtime'"),
    "optimizations": ({"optimization": {"priority": "PRIORITY_DEFAULT", "eager_batching": True}}, "'optimization'"),
    "agents": ({"model_repository_agents": {"agents": [{"name": "x"}]}}, "'model_repository_agents'"),
    "files of warm-ups": ({"model_warmup": [{"name": "x"}]}, "'model_warmup'"),
    "other labels": ({"output": [{"name": "y", "label_filename": "../../etc/passwd"}]}, "`label_filename`"),
    "many processes": ({"instance_group": [{"count": MOST_INSTANCES}, {}]}, f"more than {MOST_INSTANCES}"),
    "no processes": ({"instance_group": [{"count": 0}]}, "a number that is none"),
    "true processes": ({"instance_group": [{"count": True}]}, "a number that is none"),
    "a group that is none": ({"instance_group": [5]}, "no list of objects"),
    "outputs that are none": ({"output": {}}, "no list of objects"),
    "a size below -1": ({"input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [-5]}]}, "has input dims that are"),
    "a size of nothing": ({"output": [{"name": "y", "dims": ["0"]}]}, "has output dims that are"),
    "a size that is true": ({"output": [{"name": "y", "dims": [True]}]}, "has output dims that are"),
    "a size beyond all": ({"input": [{"name": "x", "dims": [2**63]}]}, "has input dims that are"),
    "one size": ({"input": [{"name": "x", "dims": 5}]}, "has input dims that are"),
    "a reshape below -1": (
        {"input": [{"name": "x", "dims": [4], "reshape": {"shape": [-2]}}]},
        "has input dims that are",
    ),
    "parameters that are none": ({"parameters": []}, "no object"),
    "many threads": (
        {"parameters": {**OWN["parameters"], "intra_op_thread_count": {"string_value": "999"}}},
        "'intra_op_thread_count'",
    ),
    "threads in other digits": (
        {"parameters": {**OWN["parameters"], "intra_op_thread_count": {"string_value": "²"}}},
        "'intra_op_thread_count'",
    ),
}


@pytest.mark.parametrize("what", REJECTED)
def test_what_only_the_folder_may_say_is_named(what: str) -> None:
    given, said = REJECTED[what]
    with pytest.raises(ApiError, match="the config that was sent with the load") as raised:
        overridden(OWN, json.dumps(given))
    assert said in raised.value.message
    assert raised.value.status == 400


@pytest.mark.parametrize("given", ["", "[]", "{", '{"max_batch_size": 1}' + " " * MOST_BYTES])
def test_text_that_is_no_config_is_rejected(given: str) -> None:
    with pytest.raises(ApiError) as raised:
        overridden(OWN, given)
    assert raised.value.status == 400
