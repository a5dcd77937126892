"""Broken models in Triton's layout: files that are damaged, missing or elsewhere, labels, samples and code."""

from pathlib import Path

from switchyard.repository.verdict import FaultCode as C
from tests.switchyard.repository.corpus.case import Build, Case, no_vision
from tests.switchyard.repository.corpus.graphs import CONFIG, external, linear, model, node, put, relu, save
from tests.switchyard.repository.corpus.triton_configs import FILE, with_more
from tests.switchyard.repository.corpus.triton_good import PYTHON, PYTHON_CONFIG, WARMUP

ONNX, CODE = "1/model.onnx", "1/model.py"
_WHOLE = relu().SerializeToString()


def _python(old: str, new: str) -> Build:
    assert old in PYTHON, old
    return save(PYTHON.replace(old, new, 1).encode(), PYTHON_CONFIG, file=CODE)


def _two_versions(newest: bytes) -> Build:
    def build(folder: Path) -> None:
        save(relu(), CONFIG + "version_policy { latest { num_versions: 2 } }\n")(folder)
        put(folder, "2/model.onnx", newest)

    return build


def _bytes(content: bytes) -> Build:
    return lambda folder: put(folder, ONNX, content)


CASES: tuple[Case, ...] = (
    no_vision(
        "cut-off", _bytes(linear().SerializeToString()[:-20]), C.INCOMPLETE, ONNX, "cut off or damaged", "copy it again"
    ),
    no_vision("an-empty-file", _bytes(b""), C.INCOMPLETE, ONNX, "is empty", "copy it again"),
    no_vision(
        "a-web-page",
        _bytes(b"<!DOCTYPE html><title>404</title>"),
        C.UNREADABLE,
        ONNX,
        "a web page",
        "download the file itself",
    ),
    no_vision(
        "a-pointer-of-git",
        _bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"),
        C.UNREADABLE,
        ONNX,
        "git lfs pull",
    ),
    no_vision(
        "noise",
        _bytes(bytes(range(255, 0, -1)) * 40),
        C.UNREADABLE,
        ONNX,
        "is not an ONNX file",
        "export the model to ONNX",
    ),
    no_vision(
        "weights-missing",
        lambda folder: external(folder, write=False),
        C.INCOMPLETE,
        "1/weights.bin",
        "is missing",
        "copy it there",
    ),
    no_vision(
        "weights-cut-off",
        lambda folder: external(folder, size=40),
        C.INCOMPLETE,
        "1/weights.bin",
        "40 bytes, of 48",
        "copy it again",
    ),
    no_vision("no-version", lambda folder: put(folder, "model.onnx", _WHOLE), C.VERSION, "model.onnx", "move it to 1/"),
    no_vision("packed", lambda folder: put(folder, "net.tar", _WHOLE), C.MISPLACED, "net.tar", "unpack it into"),
    no_vision("too-deep", lambda folder: put(folder, "net/1/model.onnx", _WHOLE), C.MISPLACED, "", "move its files up"),
    no_vision(
        "no-vision-model", lambda folder: put(folder, "config.json", b"{}"), C.MISPLACED, "config.json", "to llm/"
    ),
    no_vision(
        "nothing-but-a-config",
        lambda folder: put(folder, FILE, CONFIG),
        C.INCOMPLETE,
        "",
        "put the model's file into a folder called 1",
    ),
    no_vision(
        "version-in-words", lambda folder: put(folder, "v1/model.onnx", _WHOLE), C.VERSION, "v1", "rename it to '1'"
    ),
    no_vision(
        "version-with-a-zero", lambda folder: put(folder, "01/model.onnx", _WHOLE), C.VERSION, "01", "rename it to '1'"
    ),
    no_vision(
        "version-that-is-missing",
        with_more("version_policy { specific { versions: [7] } }\n"),
        C.VERSION,
        FILE,
        "the version 7",
        "copy 7/",
    ),
    no_vision(
        "latest-of-none",
        with_more("version_policy { latest { num_versions: 0 } }\n"),
        C.VERSION,
        FILE,
        "num_versions: 1",
    ),
    no_vision("another-file", save(relu(), CONFIG, file="1/net.onnx"), C.INCOMPLETE, ONNX, "rename '1/net.onnx'"),
    no_vision(
        "broken-newest", _two_versions(_WHOLE[:-9]), C.INCOMPLETE, "2/model.onnx", "copy it again", versions=("1",)
    ),
    no_vision(
        "failing-newest",
        _two_versions(model([node("Relu", "z", "y")]).SerializeToString()),
        C.SMOKE,
        "2/model.onnx",
        "export it again",
        versions=("1",),
    ),
    no_vision(
        "labels-missing",
        save(relu(), CONFIG.removesuffix("}\n") + 'label_filename: "label.txt" }\n', labels_txt="a\n"),
        C.INCOMPLETE,
        "label.txt",
        'write `label_filename: "labels.txt"`',
    ),
    no_vision(
        "labels-too-few",
        save(relu(), CONFIG.removesuffix("}\n") + 'label_filename: "labels.txt" }\n', labels_txt="a\nb\n"),
        C.LABELS,
        "labels.txt",
        "2 lines",
        "one label per line",
    ),
    no_vision(
        "warm-up-without-data",
        with_more(WARMUP.replace("random_data: true", 'input_data_file: "x.bin"')),
        C.INCOMPLETE,
        "warmup/x.bin",
        "copy it there",
    ),
    no_vision(
        "warm-up-of-another-type",
        with_more(WARMUP.replace("TYPE_FP32", "TYPE_INT8")),
        C.CONFIG,
        FILE,
        "TYPE_INT8",
        "write the same",
    ),
    no_vision(
        "code-with-a-typo",
        _python("def execute(", "def execute("[:-1]),
        C.PYTHON,
        CODE,
        "does not compile",
        "correct it",
    ),
    no_vision(
        "code-without-the-class",
        _python("TritonPythonModel", "Model"),
        C.PYTHON,
        CODE,
        "no class TritonPythonModel",
        "add it",
    ),
    no_vision(
        "code-without-execute", _python("def execute", "def run"), C.PYTHON, CODE, "add `def execute(self, requests)`"
    ),
    no_vision(
        "code-that-imports-torch",
        _python("import numpy as np", "import numpy as np\nimport torch"),
        C.PYTHON,
        CODE,
        "'torch'",
        "use numpy and Pillow",
    ),
    no_vision(
        "code-that-unpickles",
        _python("import numpy as np", "import numpy as np\nimport pickle"),
        C.PICKLE,
        CODE,
        "'pickle'",
        "keep weights in ONNX",
    ),
    no_vision(
        "code-missing", save(PYTHON.encode(), PYTHON_CONFIG, file="1/main.py"), C.INCOMPLETE, CODE, "copy it there"
    ),
)
