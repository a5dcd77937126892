"""No bytes, and no change of a good folder, make the inspector raise: it says something, in one line."""

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from switchyard.repository.inspection import Inspection
from tests.switchyard.repository.triton.folders import CONFIG, PYTHON, PYTHON_CONFIG, Files, graph, judged, write
from tests.switchyard.repository.triton.test_ensembles import ENSEMBLE, MODELS

_WORDS = st.sampled_from(
    [
        "input",
        "output",
        "{",
        "}",
        "[",
        "]",
        ":",
        '"',
        "dims",
        "-1",
        "0",
        "99999999999999999999",
        "TYPE_STRING",
        "reshape",
        "shape",
        "step",
        "input_map",
        "key",
        "value",
        "name",
        "version_policy",
        "all",
        "latest",
        "#",
        "\n",
        "\x00",
    ]
)
_GRAPH = graph()


def said(files: Files) -> Inspection:
    with tempfile.TemporaryDirectory() as folder:
        inspection = judged(write(Path(folder) / "digits", files), models=MODELS)
    assert inspection.facts is not None or inspection.faults
    for fault in inspection.faults:
        assert fault.message.isprintable()
        assert len(fault.message) < 1000
        assert folder not in fault.message
    return inspection


@st.composite
def mutated(draw: st.DrawFn, whole: str) -> str:
    """A config of which a part is gone, or replaced by words of configs."""
    start = draw(st.integers(0, len(whole)))
    end = draw(st.integers(start, min(start + 40, len(whole))))
    return whole[:start] + " ".join(draw(st.lists(_WORDS, max_size=6))) + whole[end:]


@given(mutated(CONFIG))
def test_a_mutated_config_gets_a_sentence(config: str) -> None:
    said({"config.pbtxt": config, "1/model.onnx": _GRAPH})


@given(mutated(ENSEMBLE))
def test_a_mutated_ensemble_gets_a_sentence(config: str) -> None:
    said({"config.pbtxt": config})


@given(st.binary(max_size=300))
def test_any_bytes_are_a_config_that_gets_a_sentence(config: bytes) -> None:
    said({"config.pbtxt": config, "1/model.onnx": _GRAPH})


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_a_graph_that_gets_a_sentence(content: bytes, completed: bool) -> None:
    said({"1/model.onnx": content, **({} if completed else {"config.pbtxt": CONFIG})})


@given(st.integers(0, len(_GRAPH) - 1), st.binary(min_size=1, max_size=4), st.booleans())
def test_a_mutated_graph_gets_a_sentence(at: int, changed: bytes, completed: bool) -> None:
    content = _GRAPH[:at] + changed + _GRAPH[at + len(changed) :]
    said({"1/model.onnx": content, **({} if completed else {"config.pbtxt": CONFIG})})


@given(mutated(PYTHON))
def test_mutated_code_gets_a_sentence(code: str) -> None:
    said({"config.pbtxt": PYTHON_CONFIG, "1/model.py": code})
