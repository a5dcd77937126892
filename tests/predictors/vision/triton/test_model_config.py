"""What is read off a model's configuration, as Triton gives it."""

from typing import Any

from predictors.vision.images.inference import takes_images
from predictors.vision.triton.model_config import parse_config


def config(**changes: Any) -> dict[str, Any]:
    return {
        "name": "m",
        "max_batch_size": 0,
        "input": [{"name": "image", "data_type": "TYPE_STRING", "dims": [1]}],
        "output": [{"name": "text", "data_type": "TYPE_STRING", "dims": [-1]}],
        **changes,
    }


def output(name: str, datatype: str = "TYPE_FP32", dims: tuple[int, ...] = (10,), **more: str) -> dict[str, Any]:
    return {"name": name, "data_type": datatype, "dims": list(dims), **more}


def test_a_batch_is_the_first_dimension() -> None:
    assert parse_config(config(max_batch_size=4)).inputs[0].shape == (-1, 1)
    assert parse_config(config()).inputs[0].shape == (1,)


def test_dimensions_may_be_texts_as_in_protobufs_json() -> None:
    given = config(input=[{"name": "x", "data_type": "TYPE_FP32", "dims": ["3", "-1"]}])
    assert parse_config(given).inputs[0].shape == (3, -1)


def test_optional_inputs_need_not_be_sent() -> None:
    size = {"name": "size", "data_type": "TYPE_INT32", "dims": [2], "optional": True}
    assert [port.name for port in parse_config(config(input=[*config()["input"], size])).inputs] == ["image"]


def test_bytes_for_an_optional_input_are_no_image_in_place_of_tensors() -> None:
    numbers = {"name": "x", "data_type": "TYPE_FP32", "dims": [3]}
    text = {"name": "hint", "data_type": "TYPE_STRING", "dims": [1], "optional": True}
    assert not takes_images(parse_config(config(input=[numbers, text])))
    assert takes_images(parse_config(config(input=[numbers])))


def test_steps_are_those_of_the_parameter_and_of_an_ensemble_each_once() -> None:
    given = config(
        parameters={"steps": {"string_value": "image-decode ocr-detection"}},
        ensemble_scheduling={"step": [{"model_name": "ocr-detection"}, {"model_name": "last"}]},
    )
    assert parse_config(given).dependencies == ("image-decode", "ocr-detection", "last")


def test_a_model_reads_when_it_gives_text_boxes_and_scores_for_bytes() -> None:
    outputs = [output("text", "TYPE_STRING"), output("boxes"), output("scores")]
    assert parse_config(config(output=outputs)).reads_text
    assert not parse_config(config(output=outputs[:2])).reads_text
    numbers = [{"name": "image", "data_type": "TYPE_FP32", "dims": [3, 8, 8]}]
    assert not parse_config(config(output=outputs, input=numbers)).reads_text


def test_the_scores_are_the_only_floats_or_what_has_labels() -> None:
    label, scores = output("label", "TYPE_INT64", (1,)), output("probabilities")
    assert parse_config(config(output=[label, scores])).scores == parse_config(config(output=[scores])).scores
    assert parse_config(config(output=[output("a"), output("b")])).scores is None
    labeled = parse_config(config(output=[output("a"), output("b", label_filename="labels.txt")])).scores
    assert labeled is not None
    assert labeled.name == "b"
