"""Models in Python, and what only a run of them shows: of their import, their load, or one request."""

from pathlib import Path

import numpy as np

from switchyard.repository.judging import landlock
from switchyard.repository.verdict import FaultCode
from tests.switchyard.repository.corpus.case import Build, Case, no_vision, vision
from tests.switchyard.repository.corpus.graphs import put
from tests.switchyard.repository.corpus.hostile import TRACE

CONFIG = """backend: "python"
max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [4] }
output { name: "y" data_type: TYPE_FP32 dims: [4] }
"""
TEXTS = CONFIG.replace("FP32 dims: [4]", "STRING dims: [1]")
DECOUPLED = CONFIG + "model_transaction_policy { decoupled: true }\n"
WARMUP = """model_warmup { name: "one" batch_size: 1
  inputs { key: "x" value { data_type: TYPE_FP32 dims: [4] random_data: true } } }
"""
CODE = """import json
from pathlib import Path
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        {load}

    def execute(self, requests):
        return [pb_utils.InferenceResponse([self._one(request)]) for request in requests]

    def _one(self, request):
        x = pb_utils.get_input_tensor_by_name(request, "x").as_numpy()
        {run}
        return pb_utils.Tensor("y", x)
"""
ASYNC = CODE.replace("    def execute(self, requests):\n", "    async def execute(self, requests):\n")
CALLS = "pb_utils.InferenceRequest(model_name='other', requested_output_names=['y'], inputs=[]).exec()"
NOT_THERE = "from_their_image"  # a package


def code(load: str = "pass", run: str = "pass", *, config: str = CONFIG, more: str = "", text: str = CODE) -> Build:
    """A model that runs ``load`` when it is loaded and ``run`` in each request; ``more`` are lines of the class."""

    def build(folder: Path) -> None:
        put(folder, "config.pbtxt", config)
        put(folder, "1/model.py", text.format(load=load, run=run) + more)

    return build


def _with(build: Build, file: str, content: str | bytes) -> Build:
    def build_both(folder: Path) -> None:
        build(folder)
        put(folder, file, content)

    return build_both


def _with_weights(folder: Path) -> None:
    code("self._w = np.load(Path(__file__).with_name('w.npy'))", "x = x @ self._w")(folder)
    np.save(folder / "1/w.npy", np.eye(4, dtype=np.float32))


def _newest_fails(folder: Path) -> None:
    code(config=CONFIG + "version_policy { all {} }\n")(folder)
    put(folder, "2/model.py", CODE.format(load="raise ValueError('no weights')", run="pass"))


_SENDS = """
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            for _ in range(3):
                sender.send(pb_utils.InferenceResponse([self._one(request)]))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""
_COMPLETES = """
    @staticmethod
    def auto_complete_config(config):
        config.set_max_batch_size(16)
        config.set_dynamic_batching()
        config.add_input({"name": "x", "data_type": "TYPE_%s", "dims": [4]})
        return config
"""
_ANSWERS_WITH_AN_ERROR = """
    def execute(self, requests):
        error = pb_utils.TritonError("no picture", pb_utils.TritonError.INVALID_ARG)
        return [pb_utils.InferenceResponse(error=error) for _ in requests]
"""
_READS_ITS_CONFIG = (
    "c = json.loads(args['model_config']); "
    "assert (c['name'], c['max_batch_size'], c['input'][0]['dims']) == (args['model_name'], 8, [4]); "
    "assert c['instance_group'][0]['kind'] == 'KIND_' + args['model_instance_kind']; "
    "kind = pb_utils.get_output_config_by_name(c, 'y')['data_type']; "
    "assert pb_utils.triton_string_to_numpy(kind) is np.float32; "
    "assert Path(args['model_repository'], args['model_version']) == Path(pb_utils.get_model_dir())"
)
_DOES_HARM = f"import os; os.mkdir({str(TRACE)!r})"

GOOD: tuple[Case, ...] = (
    vision("python-doubles", code(run="x = 2 * x")),
    vision("python-async", code(text=ASYNC)),
    vision(
        "python-of-texts",
        code(
            run="x = np.array([each.decode().upper() for each in x.flatten()], dtype=object).reshape(x.shape)",
            config=TEXTS,
        ),
    ),
    vision("python-with-weights", _with_weights),
    vision("python-with-a-helper", _with(code("import helper; helper.check()"), "1/helper.py", "def check(): pass\n")),
    vision("python-with-a-relative-one", _with(code("from . import helper"), "1/helper.py", "")),
    vision("python-reads-its-config", code(_READS_ITS_CONFIG)),
    vision("python-completes-its-config", code(more=_COMPLETES % "FP32")),
    vision("python-sends", code(config=DECOUPLED, more=_SENDS)),
    vision("python-warmed-up", code(config=CONFIG + WARMUP)),
    vision("python-calls-another", code(run=CALLS), notes="its call of the model 'other'"),
    vision("python-of-their-image", code(f"import {NOT_THERE}"), notes="line 9, needs what a check does not have"),
    vision("python-of-an-address", code("import socket; socket.create_connection(('127.0.0.1', 1))"), notes="needs"),
    vision("python-of-the-environment", code("import os; os.environ['MY_KEY']"), notes="'MY_KEY'"),
    vision("python-of-another-folder", code("np.load('/models/w.npy')"), notes="'/models/w.npy'"),
    vision("python-of-other-values", code(run="assert x.max() > 255"), notes="a model_warmup sample in config.pbtxt"),
    vision(
        "python-rejects", code(more=_ANSWERS_WITH_AN_ERROR), notes="rejects inputs that were made up ('no picture')"
    ),
    vision("python-divides-by-zero", code(run="x = x / np.float32(0)"), notes="no numbers in 'y'"),
    vision(
        "python-ends-badly", code(more="\n    def finalize(self):\n        1 / 0\n"), notes="when the model is unloaded"
    ),
    vision("python-does-harm", code(_DOES_HARM), notes="PermissionError"),
)

FILE, SMOKE, PYTHON = "1/model.py", FaultCode.SMOKE, FaultCode.PYTHON
LOAD, ANY = "line 9, fails when the model is loaded", "fails for any request"

BROKEN: tuple[Case, ...] = (
    no_vision("python-raises", code("raise ValueError('no weights')"), SMOKE, FILE, LOAD, "(ValueError: no weights)"),
    no_vision(
        "python-lacks-weights", code("np.load(Path(__file__).with_name('w.npy'))"), SMOKE, FILE, LOAD, "'1/w.npy'"
    ),
    no_vision("python-exits", code("raise SystemExit(3)"), SMOKE, FILE, LOAD, "SystemExit: 3"),
    no_vision("python-ends-itself", code("import os; os._exit(3)"), SMOKE, FILE, "Loading '1/model.py'", "exit code 3"),
    no_vision("python-crashes", code("import ctypes; ctypes.string_at(0)"), SMOKE, FILE, "SIGSEGV", "correct it"),
    no_vision("python-never-ends", code("while True: pass"), FaultCode.LIMIT, FILE, "time", "do less", slow=True),
    no_vision("python-eats-memory", code("np.ones((1 << 30, 8))"), FaultCode.LIMIT, FILE, "memory", "smaller"),
    no_vision("python-calls-too-early", code(CALLS), SMOKE, FILE, LOAD, "only be called in execute"),
    no_vision("python-changes-its-config", code(more=_COMPLETES % "INT8"), SMOKE, FILE, "TYPE_INT8", "correct it"),
    no_vision(
        "python-lacks-a-name-of-a-helper",
        _with(code("from helper import weights"), "1/helper.py", "bias = 1\n"),
        SMOKE,
        FILE,
        LOAD,
        "ImportError: cannot import name 'weights'",
    ),
    no_vision(
        "python-fails-in-a-helper",
        _with(code("import helper"), "1/helper.py", "bias = 1\nraise KeyError('bias')\n"),
        SMOKE,
        "1/helper.py",
        "'1/helper.py', line 2, fails",
        "KeyError: 'bias'",
    ),
    no_vision("python-has-a-typo", code(run="x = X"), SMOKE, FILE, f"line 16, {ANY}", "'X' is not defined"),
    no_vision("python-forgets-itself", code(run="x = self._weights"), SMOKE, FILE, ANY, "no attribute '_weights'"),
    no_vision("python-gives-a-list", code(run="x = [1, 2]"), SMOKE, FILE, ANY, "not of a numpy.ndarray"),
    no_vision(
        "python-gives-pythons-texts",
        code(run="x = np.full(x.shape, 'text')", config=TEXTS),
        SMOKE,
        FILE,
        ANY,
        "texts have dtype=object",
    ),
    no_vision(
        "python-forgets-a-response",
        code(more="\n    def execute(self, requests):\n        return []\n"),
        SMOKE,
        FILE,
        ANY,
        "returns 0 for one",
    ),
    no_vision(
        "python-gives-another-type",
        code(run="x = x.astype(np.float64)"),
        PYTHON,
        "config.pbtxt",
        "says that output 'y' is TYPE_FP32 [4], but a run of '1/model.py' gives TYPE_FP64 [4]",
    ),
    no_vision("python-gives-other-dims", code(run="x = x[:, :3]"), PYTHON, "config.pbtxt", "gives TYPE_FP32 [3]"),
    no_vision(
        "python-gives-another-name",
        code(run="return pb_utils.Tensor('z', x)"),
        PYTHON,
        "config.pbtxt",
        "gives 'z'",
        "by its name",
    ),
    no_vision(
        "python-fails-its-warm-up",
        code(run="raise IndexError('row 7')", config=CONFIG + WARMUP),
        SMOKE,
        FILE,
        "warm-up sample",
        "IndexError: row 7",
    ),
    no_vision(
        "python-rejects-its-warm-up",
        code(config=CONFIG + WARMUP, more=_ANSWERS_WITH_AN_ERROR),
        SMOKE,
        FILE,
        "rejects the warm-up sample",
        "correct one of them",
    ),
    no_vision("python-newest-fails", _newest_fails, SMOKE, "2/model.py", "'2/model.py'", versions=("1",)),
)

# Without Landlock no code of a model is run, and all of these are good ones with a note.
CASES: tuple[Case, ...] = (*GOOD, *BROKEN) if landlock.version() > 0 else ()
