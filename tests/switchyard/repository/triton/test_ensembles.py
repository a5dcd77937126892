"""Ensembles and models in Python that call others: whether the others are there and fit."""

from pathlib import Path

import pytest

from switchyard.repository.triton.schema import parse
from switchyard.repository.verdict import Facts, FaultCode, Memory, Tensor
from tests.switchyard.repository.triton.folders import PYTHON, PYTHON_CONFIG, judged, write


def model(
    inputs: dict[str, tuple[int, ...]],
    outputs: dict[str, tuple[int, ...]],
    *,
    datatype: str = "FP32",
    batch: int = 8,
    steps: tuple[str, ...] = (),
) -> Facts:
    """The facts of a model whose tensors have these shapes, the batch included."""
    return Facts(
        format="onnx",
        kind="vision",
        bytes=1,
        memory=Memory(weights=1),
        versions=("1", "2"),
        inputs=tuple(Tensor(name=name, datatype=datatype, shape=shape) for name, shape in inputs.items()),
        outputs=tuple(Tensor(name=name, datatype=datatype, shape=shape) for name, shape in outputs.items()),
        max_batch_size=batch,
        steps=steps,
    )


MODELS = {
    "scale": model({"raw": (-1, -1)}, {"scaled": (-1, 64)}),
    "classify": model({"x": (-1, 64)}, {"scores": (-1, 10)}),
    "pick": model({"x": (-1, 10)}, {"best": (-1, 1)}),
}

ENSEMBLE = """
platform: "ensemble"
max_batch_size: 8
input { name: "pixels" data_type: TYPE_FP32 dims: [64] }
output { name: "best" data_type: TYPE_FP32 dims: [1] }
ensemble_scheduling {
  step {
    model_name: "scale" model_version: -1
    input_map { key: "raw" value: "pixels" }
    output_map { key: "scaled" value: "row" }
  }
  step {
    model_name: "classify" model_version: -1
    input_map { key: "x" value: "row" }
    output_map { key: "scores" value: "scores" }
  }
  step {
    model_name: "pick" model_version: -1
    input_map { key: "x" value: "scores" }
    output_map { key: "best" value: "best" }
  }
}
"""


# What is put in the place of what, and what is said of it.
MISFITS = [
    ('model_name: "scale"', 'model_name: "scales"', "calls the model 'scales', which is not in the repository"),
    ('model_name: "scale"', 'model_name: "digits"', "makes 'digits' call itself"),
    (
        'key: "raw"',
        'key: "row"',
        "has the key 'row' in the input_map of step 1 ('scale'), which has no such input (it has 'raw')",
    ),
    ('key: "scaled" value: "row"', 'key: "scaled" value: "rows"', "gives 'row' to step 2 ('classify'), which is"),
    ('key: "scores"', 'key: "score"', "takes 'score' from step 2 ('classify'), which gives 'scores'"),
    ('key: "x" value: "scores"', 'key: "x" value: "nothing"', "gives 'nothing' to step 3"),
    ('value: "best"', 'value: "row"', "fills 'row' twice, by 'scaled' of step 1 ('scale') and by step 3"),
    ("dims: [64]", "dims: [8, 8]", "takes 'raw' as FP32 [-1, -1], but the input 'pixels' is FP32 [-1, 8, 8]"),
    ("TYPE_FP32 dims: [64]", "TYPE_UINT8 dims: [64]", "but the input 'pixels' is UINT8 [-1, 64]"),
    ("dims: [1]", "dims: [2]", "the output 'best' as FP32 [-1, 2], but 'best' of step 3 ('pick') is FP32 [-1, 1]"),
    ("max_batch_size: 8", "max_batch_size: 9", "says `max_batch_size: 9`, but step 1 ('scale') takes 8: write 8"),
    ("dims: [1]", "dims: [1, 1, 1]", "a batch is the first dimension"),
    ("model_version: -1", "model_version: 3", "calls version 3 in step 1 ('scale'), which has '1', '2'"),
    ('output { name: "best"', 'output { name: "worst"', "has the output 'worst', which is in no output_map"),
    ('value: "pixels"', 'value: "scores"', "wait for each other's outputs"),
]


@pytest.mark.parametrize("files", [{"1/": ""}, {}])
def test_an_ensemble_needs_no_file_but_its_config(tmp_path: Path, files: dict[str, str]) -> None:
    inspection = judged(write(tmp_path / "digits", {"config.pbtxt": ENSEMBLE, **files}), models=MODELS)
    assert inspection.faults == ()
    assert inspection.facts is not None
    assert (inspection.facts.format, inspection.facts.versions) == ("ensemble", ("1",))
    assert inspection.facts.steps == ("scale", "classify", "pick")


@pytest.mark.parametrize("dims", ["dims: [64]", "dims: [-1, 64]"])
def test_an_ensemble_without_batches_may_call_models_with(tmp_path: Path, dims: str) -> None:
    config = ENSEMBLE.replace("max_batch_size: 8", "").replace("dims: [64]", dims)
    assert judged(write(tmp_path / "digits", {"config.pbtxt": config}), models=MODELS).faults == ()


@pytest.mark.parametrize(("old", "new", "says"), MISFITS)
def test_steps_that_do_not_fit_are_named(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in ENSEMBLE
    config = ENSEMBLE.replace(old, new, 1)
    parse(config)
    inspection = judged(write(tmp_path / "digits", {"config.pbtxt": config}), models=MODELS)
    assert inspection.facts is None
    assert {(fault.code, fault.file) for fault in inspection.faults} == {(FaultCode.ENSEMBLE, "config.pbtxt")}
    assert any(says in fault.message for fault in inspection.faults), inspection.faults


def test_an_ensemble_without_steps_is_none(tmp_path: Path) -> None:
    config = ENSEMBLE.partition("ensemble_scheduling")[0]
    fault = judged(write(tmp_path / "digits", {"config.pbtxt": config})).faults[0]
    assert "an ensemble without a step" in fault.message


def test_a_circle_of_models_is_refused(tmp_path: Path) -> None:
    models = {**MODELS, "pick": model({"x": (-1, 10)}, {"best": (-1, 1)}, steps=("again",))}
    models["again"] = model({}, {}, steps=("digits",))
    fault = judged(write(tmp_path / "digits", {"config.pbtxt": ENSEMBLE}), models=models).faults[0]
    assert "'digits' calls 'pick', 'again', which calls 'digits'" in fault.message


def test_a_model_in_python_calls_what_is_there(tmp_path: Path) -> None:
    steps = 'parameters { key: "steps" value { string_value: "classify pik" } }'
    folder = write(tmp_path / "digits", {"config.pbtxt": PYTHON_CONFIG + steps, "1/model.py": PYTHON})
    fault = judged(folder, models=MODELS).faults[0]
    assert (fault.code, fault.file) == (FaultCode.ENSEMBLE, "config.pbtxt")
    assert "'pik', which is not in the repository or failed: write 'pick'" in fault.message
    facts = judged(folder, models={**MODELS, "pik": MODELS["pick"]}).facts
    assert facts is not None
    assert facts.steps == ("classify", "pik")


def test_the_card_of_a_model_is_shown(tmp_path: Path) -> None:
    card = "---\nlicense: apache-2.0\n---\n# Digits\n\nReads one digit.\n\nMore.\n"
    facts = judged(write(tmp_path / "digits", {"config.pbtxt": ENSEMBLE, "README.md": card}), models=MODELS).facts
    assert facts is not None
    assert (facts.license, facts.description) == ("apache-2.0", "Reads one digit.")
