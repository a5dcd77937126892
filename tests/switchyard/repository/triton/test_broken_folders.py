"""Broken folders: which kind of fault each has, in which file, and what its sentence says."""

from pathlib import Path

import pytest
from onnx import TensorProto, helper

from switchyard.repository.verdict import Fault, FaultCode
from tests.switchyard.repository.triton.folders import CONFIG, PYTHON, PYTHON_CONFIG, Files, graph, judged, write

FLOAT = TensorProto.FLOAT
Case = tuple[Files, FaultCode, str, str]


def with_config(text: str) -> Files:
    return {"config.pbtxt": text, "1/model.onnx": graph()}


def with_graph(content: bytes, config: str = CONFIG) -> Files:
    return {"config.pbtxt": config, "1/model.onnx": content}


def python(code: str, config: str = PYTHON_CONFIG) -> Files:
    return {"config.pbtxt": config, "1/model.py": code}


def external(location: str, length: int = 16) -> bytes:
    weights = helper.make_tensor("w", FLOAT, [4], [1.0] * 4)
    weights.ClearField("float_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=location)
    weights.external_data.add(key="length", value=str(length))
    return graph(initializer=[weights])


def warmup(inputs: str, batch: int = 1) -> Files:
    return with_config(CONFIG + f'model_warmup {{ name: "w" batch_size: {batch} {inputs} }}')


def warm_input(name: str = "x", data: str = "zero_data: true", dims: str = "[4]") -> str:
    return f'inputs {{ key: "{name}" value {{ data_type: TYPE_FP32 dims: {dims} {data} }} }}'


BATCHES_OF_64 = CONFIG + "dynamic_batching { preferred_batch_size: [64] }"
GPU = CONFIG + "instance_group { kind: KIND_GPU }"
LABELS = CONFIG.replace('"y"', '"y" label_filename: "labels.txt"')
SPECIFIC = CONFIG + "version_policy { specific { versions: [7] } }"
TWO_X = CONFIG + 'input { name: "x" data_type: TYPE_FP32 dims: [4] }'
AGENT = CONFIG + 'model_repository_agents { agents { name: "checksum" } }'
OPERATORS = CONFIG + 'model_operations { op_library_filename: "/tmp/ops.so" }'
ENVIRONMENT = PYTHON_CONFIG + 'parameters { key: "EXECUTION_ENV_PATH" value { string_value: "env.tar.gz" } }'
THREADS = CONFIG + 'parameters { key: "intra_op_thread_count" value { string_value: "two" } }'
ELSEWHERE = CONFIG + 'default_model_filename: "../../other/1/model.onnx"'
NO_BATCH = CONFIG.replace("max_batch_size: 8", "")
FIXED = graph(inputs={"x": (FLOAT, (1, 4))})

CONFIGS: dict[str, Case] = {
    "a field that is misspelled": (
        with_config(CONFIG.replace("input {", "inptu {")),
        FaultCode.CONFIG,
        "config.pbtxt",
        "config.pbtxt, line 4, column 1: Triton has no field 'inptu' there: write `input`.",
    ),
    "a type of Python": (
        with_config(CONFIG.replace("TYPE_FP32", "TYPE_FLOAT32", 1)),
        FaultCode.CONFIG,
        "config.pbtxt",
        "Triton has no value 'TYPE_FLOAT32' there: write TYPE_FP32.",
    ),
    "a word without quotes": (
        with_config("backend: onnxruntime"),
        FaultCode.CONFIG,
        "config.pbtxt",
        "line 1, column 10: Expected string",
    ),
    "a brace that is not closed": (
        with_config('backend: "onnxruntime"\ninput { name: "x"'),
        FaultCode.CONFIG,
        "config.pbtxt",
        'Expected "}"',
    ),
    "JSON": (with_config('{"backend": "onnxruntime"}'), FaultCode.CONFIG, "config.pbtxt", "line 1, column 1"),
    "bytes": (
        {"config.pbtxt": b"\xff", "1/model.onnx": graph()},
        FaultCode.UNREADABLE,
        "config.pbtxt",
        "not text in UTF-8 (byte 0)",
    ),
    "a huge one": (with_config("# " + "x" * 300_000), FaultCode.TOO_LARGE, "config.pbtxt", "300002 bytes, of 262144"),
    "another extension": (
        {"config.pbtxt.txt": CONFIG, "1/model.onnx": graph()},
        FaultCode.CONFIG,
        "config.pbtxt.txt",
        "rename it to config.pbtxt",
    ),
    "another name": (
        with_config('name: "other"\n' + CONFIG),
        FaultCode.CONFIG,
        "config.pbtxt",
        "the folder is 'digits'",
    ),
    "PyTorch": (
        with_config('backend: "pytorch"'),
        FaultCode.CONFIG,
        "config.pbtxt",
        "the backend 'pytorch'; this Triton has onnxruntime and python: export the model to ONNX",
    ),
    "a backend that is misspelled": (
        with_config('backend: "onnx"'),
        FaultCode.CONFIG,
        "config.pbtxt",
        'write `backend: "onnxruntime"`',
    ),
    "TensorRT": (
        with_config('platform: "tensorrt_plan"'),
        FaultCode.CONFIG,
        "config.pbtxt",
        "platform 'tensorrt_plan'",
    ),
    "two formats": (
        with_config('backend: "python" platform: "ensemble"'),
        FaultCode.CONFIG,
        "config.pbtxt",
        "is of ensemble and python at once",
    ),
    "a negative batch": (
        with_config(CONFIG.replace("8", "-1")),
        FaultCode.CONFIG,
        "config.pbtxt",
        "`max_batch_size: -1`: write 0",
    ),
    "a batch that is too large": (with_config(BATCHES_OF_64), FaultCode.CONFIG, "config.pbtxt", "batches of 64"),
    "a GPU": (with_config(GPU), FaultCode.CONFIG, "config.pbtxt", "write `kind: KIND_AUTO`"),
    "a thousand instances": (
        with_config(CONFIG + "instance_group { count: 1000 }"),
        FaultCode.CONFIG,
        "config.pbtxt",
        "wants 1000 instances",
    ),
    "an input that is described twice": (with_config(TWO_X), FaultCode.CONFIG, "config.pbtxt", "the input 'x' twice"),
    "a dimension of zero": (
        with_config(CONFIG.replace("[4]", "[0]", 1)),
        FaultCode.CONFIG,
        "config.pbtxt",
        "the input 'x' the dims [0]",
    ),
    "a reshape of another size": (
        with_config(CONFIG.replace("[4] }", "[4] reshape { shape: [5] } }", 1)),
        FaultCode.CONFIG,
        "config.pbtxt",
        "from [4] to [5]",
    ),
    "an image of one dimension": (
        with_config(CONFIG.replace("[4] }", "[4] format: FORMAT_NCHW }", 1)),
        FaultCode.CONFIG,
        "config.pbtxt",
        "the format of images and 1 dims",
    ),
    "agents": (with_config(AGENT), FaultCode.CONFIG, "config.pbtxt", "model_repository_agents"),
    "compiled operators": (with_config(OPERATORS), FaultCode.PICKLE, "config.pbtxt", "op_library_filename"),
    "threads in words": (with_config(THREADS), FaultCode.CONFIG, "config.pbtxt", "'two': write a whole number"),
    "a file elsewhere": (with_config(ELSEWHERE), FaultCode.CONFIG, "config.pbtxt", "outside its version"),
}

GRAPHS: dict[str, Case] = {
    "another name of an output": (
        with_config(CONFIG.replace('"y"', '"yy"')),
        FaultCode.GRAPH,
        "config.pbtxt",
        "has the output 'yy', which '1/model.onnx' does not have (its outputs: 'y'): write `name: \"y\"`",
    ),
    "another type": (
        with_config(CONFIG.replace("TYPE_FP32", "TYPE_INT64", 1)),
        FaultCode.GRAPH,
        "config.pbtxt",
        "input 'x' is TYPE_INT64 [4] behind the batch, but '1/model.onnx' takes TYPE_FP32 [-1, 4]: "
        "write `data_type: TYPE_FP32 dims: [4]`.",
    ),
    "another shape": (
        with_config(CONFIG.replace("[4]", "[5]", 1)),
        FaultCode.GRAPH,
        "config.pbtxt",
        "write `data_type: TYPE_FP32 dims: [4]`",
    ),
    "another rank": (
        with_config(CONFIG.replace("[4]", "[2, 2]", 1)),
        FaultCode.GRAPH,
        "config.pbtxt",
        "is TYPE_FP32 [2, 2] behind the batch",
    ),
    "a forgotten batch": (
        with_config(NO_BATCH),
        FaultCode.GRAPH,
        "config.pbtxt",
        "dims: [-1, 4]`, or set a max_batch_size",
    ),
    "a batch of a graph without": (with_graph(FIXED), FaultCode.GRAPH, "config.pbtxt", "the fixed shape [1, 4]"),
    "an input that is not described": (
        with_graph(graph(inputs={"x": (FLOAT, (None, 4)), "mask": (TensorProto.BOOL, (None, 4))})),
        FaultCode.GRAPH,
        "config.pbtxt",
        'add `input { name: "mask" data_type: TYPE_BOOL dims: [4] }`',
    ),
    "an input without a shape": (
        with_graph(graph(inputs={"x": (FLOAT, None)}), ""),
        FaultCode.GRAPH,
        "1/model.onnx",
        "does not say what shape its input 'x' has",
    ),
    "an input of bfloat16": (
        with_graph(graph(inputs={"x": (TensorProto.BFLOAT16, (None, 4))}), ""),
        FaultCode.GRAPH,
        "1/model.onnx",
        "is a tensor of BFLOAT16, which Triton cannot carry: export it as a plain tensor of FP32",
    ),
    "an input without dimensions": (
        with_graph(graph(inputs={"x": (FLOAT, ())}), ""),
        FaultCode.GRAPH,
        "1/model.onnx",
        "is a single number, which Triton cannot carry: export it as a plain tensor of the shape [1]",
    ),
    "an output without dimensions": (
        with_graph(graph(outputs={"y": (FLOAT, ())}), ""),
        FaultCode.GRAPH,
        "1/model.onnx",
        "The output 'y' of '1/model.onnx' is a single number, which Triton cannot carry",
    ),
    "no graph": ({"config.pbtxt": CONFIG, "1/labels.txt": ""}, FaultCode.INCOMPLETE, "1/model.onnx", "is missing"),
    "another name of the graph": (
        {"config.pbtxt": CONFIG, "1/digits.onnx": graph()},
        FaultCode.INCOMPLETE,
        "1/model.onnx",
        "rename '1/digits.onnx', or write `default_model_filename: \"digits.onnx\"`",
    ),
    "an empty graph": (with_graph(b""), FaultCode.INCOMPLETE, "1/model.onnx", "is empty"),
    "half a graph": (with_graph(graph()[:-9]), FaultCode.INCOMPLETE, "1/model.onnx", "is cut off or damaged"),
    "a pointer": (with_graph(b"version https://git-lfs"), FaultCode.UNREADABLE, "1/model.onnx", "git lfs pull"),
    "text": (with_graph(b"hello"), FaultCode.UNREADABLE, "1/model.onnx", "is not an ONNX file"),
    "a new format": (
        with_graph(graph(ir_version=90)),
        FaultCode.GRAPH,
        "1/model.onnx",
        "is of version 90 of ONNX's format",
    ),
    "a new opset": (with_graph(graph(opset=99)), FaultCode.GRAPH, "1/model.onnx", "needs opset 99"),
    "an operator of a later opset": (
        with_graph(graph(operator="Gelu")),
        FaultCode.GRAPH,
        "1/model.onnx",
        "'1/model.onnx' uses the operator Gelu, which came with opset 20, and declares opset 17",
    ),
    "an operator that is misspelled": (
        with_graph(graph(operator="Identitty")),
        FaultCode.GRAPH,
        "1/model.onnx",
        "did you mean Identity?",
    ),
    "an operator of one's own": (
        with_graph(graph(operator="Magic", domain="com.example")),
        FaultCode.GRAPH,
        "1/model.onnx",
        "the operator 'Magic' of 'com.example'",
    ),
    "weights that are missing": (
        with_graph(external("model.data")),
        FaultCode.INCOMPLETE,
        "1/model.data",
        "has its weights in '1/model.data', which is missing",
    ),
    "weights that are cut": (
        {**with_graph(external("model.data")), "1/model.data": bytes(8)},
        FaultCode.INCOMPLETE,
        "1/model.data",
        "has 8 bytes, of 16",
    ),
    "weights elsewhere": (
        with_graph(external("../../../etc/passwd")),
        FaultCode.LINK,
        "1/model.onnx",
        "has weights in '../../../etc/passwd', outside 1/",
    ),
}

STATE = 'sequence_batching { state { input_name: "s" output_name: "t" data_type: TYPE_FP32 dims: [4] initial_state {'
STATE += ' name: "i" data_type: TYPE_FP32 dims: [4] data_file: "../../x" } } }'
SAVES = 'parameters { key: "session.save_model_path" value { string_value: "x" } }'
WAITS = "dynamic_batching { max_queue_delay_microseconds: 3600000000 }"
ENDLESS = 'model_warmup { name: "w" count: 4000000000 ' + warm_input() + " }"
COMMANDS = graph(inputs={"x\x1b[2J": (FLOAT, (None, 4))})

OTHERS: dict[str, Case] = {
    "an archive": (
        {"digits.tar": b"1/model.onnx"},
        FaultCode.MISPLACED,
        "digits.tar",
        "'digits.tar' is an archive, which is not unpacked here: unpack it into the model's folder.",
    ),
    "a zip": (
        {"digits.zip": b"PK\x03\x04"},
        FaultCode.PICKLE,
        "digits.zip",
        "unpack it into the model's folder if it holds the model, and remove it.",
    ),
    "a folder too deep": ({"digits/1/model.onnx": graph()}, FaultCode.MISPLACED, "", "The model lies in 'digits', one"),
    "a language model": (
        {"config.json": "{}", "model.safetensors": b""},
        FaultCode.MISPLACED,
        "config.json",
        "move it from vision/ to llm/",
    ),
    "a library": ({**with_graph(graph()), "1/evil.dat": b"\x7fELF"}, FaultCode.PICKLE, "1/evil.dat", "remove it"),
    "a runtime": (with_config(CONFIG + 'runtime: "x"'), FaultCode.PICKLE, "config.pbtxt", "'runtime'"),
    "a host policy": (
        with_config(CONFIG + 'instance_group { host_policy: "x" }'),
        FaultCode.CONFIG,
        "config.pbtxt",
        "host_policy",
    ),
    "a parameter with a path": (with_config(CONFIG + SAVES), FaultCode.CONFIG, "config.pbtxt", "save_model_path"),
    "a wait of an hour": (with_config(CONFIG + WAITS), FaultCode.CONFIG, "config.pbtxt", "at most 10000000"),
    "an endless warm-up": (with_config(CONFIG + ENDLESS), FaultCode.CONFIG, "config.pbtxt", "at most 100"),
    "a state elsewhere": (with_config(CONFIG + STATE), FaultCode.LINK, "config.pbtxt", "outside initial_state/"),
    "a name that commands": (with_graph(COMMANDS), FaultCode.GRAPH, "1/model.onnx", "cannot be printed"),
    "a checkpoint of PyTorch": (with_graph(b"PK\x03\x04"), FaultCode.PICKLE, "1/model.onnx", "is a zip archive"),
    "a pickle": (with_graph(b"\x80\x04\x95abc."), FaultCode.PICKLE, "1/model.onnx", "is a pickle"),
    "no version": ({"config.pbtxt": CONFIG}, FaultCode.INCOMPLETE, "", "such as 1/model.onnx"),
    "a graph beside the config": (
        {"config.pbtxt": CONFIG, "model.onnx": graph()},
        FaultCode.VERSION,
        "model.onnx",
        "'model.onnx' lies in the model's folder, and versions have folders: move it to 1/model.onnx.",
    ),
    "a graph of another name without a config": (
        {"net.onnx": graph()},
        FaultCode.VERSION,
        "net.onnx",
        "'net.onnx' lies in the model's folder, and versions have folders: move it to 1/model.onnx.",
    ),
    "a version called v1": (
        {"config.pbtxt": CONFIG, "v1/model.onnx": graph()},
        FaultCode.VERSION,
        "v1",
        "rename it to '1'",
    ),
    "a version that is missing": (with_config(SPECIFIC), FaultCode.VERSION, "config.pbtxt", "serves the version 7"),
    "no versions": (
        with_config(CONFIG + "version_policy { latest { num_versions: 0 } }"),
        FaultCode.VERSION,
        "config.pbtxt",
        "num_versions: 1",
    ),
    "no labels": (with_config(LABELS), FaultCode.INCOMPLETE, "labels.txt", "which is missing: copy it there"),
    "too few labels": (
        {**with_config(LABELS), "labels.txt": "a\nb\n"},
        FaultCode.LABELS,
        "labels.txt",
        "has 2 lines, but the output 'y' has 4 values",
    ),
    "labels in Latin-1": (
        {**with_config(LABELS), "labels.txt": b"\xe4\n" * 4},
        FaultCode.LABELS,
        "labels.txt",
        "UTF-8",
    ),
    "labels elsewhere": (
        with_config(LABELS.replace("labels.txt", "../labels.txt")),
        FaultCode.LINK,
        "config.pbtxt",
        "outside the folder",
    ),
    "a sample of an unknown input": (
        warmup(warm_input() + warm_input("z")),
        FaultCode.CONFIG,
        "config.pbtxt",
        "'w' in config.pbtxt has the input 'z'",
    ),
    "a sample that lacks an input": (warmup(""), FaultCode.CONFIG, "config.pbtxt", "lacks 'x'"),
    "a sample of another shape": (
        warmup(warm_input(dims="[5]")),
        FaultCode.CONFIG,
        "config.pbtxt",
        "TYPE_FP32 [5], but the model takes TYPE_FP32 [4]",
    ),
    "a sample without data": (warmup(warm_input(data="")), FaultCode.CONFIG, "config.pbtxt", "random_data: true"),
    "a sample of a large batch": (warmup(warm_input(), 9), FaultCode.CONFIG, "config.pbtxt", "write at most 8"),
    "a sample without its file": (
        warmup(warm_input(data='input_data_file: "x.raw"')),
        FaultCode.INCOMPLETE,
        "warmup/x.raw",
        "which is missing",
    ),
    "a sample with half its file": (
        {**warmup(warm_input(data='input_data_file: "x.raw"')), "warmup/x.raw": bytes(8)},
        FaultCode.CONFIG,
        "warmup/x.raw",
        "8 bytes of 16",
    ),
    "no code": ({**python(PYTHON), "1/model.py": ""}, FaultCode.PYTHON, "1/model.py", "has no class TritonPythonModel"),
    "no file of code": (
        {"config.pbtxt": PYTHON_CONFIG, "1/other.txt": ""},
        FaultCode.INCOMPLETE,
        "1/model.py",
        "is missing",
    ),
    "code that does not compile": (
        python("class TritonPythonModel:\n  def execute(self:\n"),
        FaultCode.PYTHON,
        "1/model.py",
        "'1/model.py', line 2 does not compile",
    ),
    "code without execute": (
        python("class TritonPythonModel:\n  pass\n"),
        FaultCode.PYTHON,
        "1/model.py",
        "def execute(self, requests)",
    ),
    "code that needs PyTorch": (python("import torch\n" + PYTHON), FaultCode.PYTHON, "1/model.py", "imports 'torch'"),
    "code that reads pickles": (
        python(PYTHON + "def load():\n    import pickle\n"),
        FaultCode.PICKLE,
        "1/model.py",
        "imports 'pickle'",
    ),
    "code with bytes": (python("\x00"), FaultCode.PYTHON, "1/model.py", "1/model.py"),
    "code that brings an environment": (
        python(PYTHON, ENVIRONMENT),
        FaultCode.CONFIG,
        "config.pbtxt",
        "EXECUTION_ENV_PATH",
    ),
    "code without a config": (
        {"1/model.py": PYTHON},
        FaultCode.CONFIG,
        "config.pbtxt",
        "describes no input: add",
    ),
    "a version without its file": (
        {**with_config(CONFIG), "2/": ""},
        FaultCode.INCOMPLETE,
        "2/model.onnx",
        "'2/model.onnx' is missing",
    ),
}


def check(folder: Path, case: Case) -> Fault:
    files, code, file, says = case
    inspection = judged(write(folder / "digits", files))
    fault = inspection.faults[0]
    assert (fault.code, fault.file) == (code, file), fault
    assert says in fault.message
    assert fault.message.endswith((".", "?"))
    assert str(folder) not in fault.message
    return fault


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_that_contradicts_itself(tmp_path: Path, name: str) -> None:
    check(tmp_path, CONFIGS[name])


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_that_is_not_what_the_config_says(tmp_path: Path, name: str) -> None:
    fault = check(tmp_path, GRAPHS[name])
    assert fault.version == "1"


@pytest.mark.parametrize("name", OTHERS)
def test_versions_labels_samples_and_code(tmp_path: Path, name: str) -> None:
    check(tmp_path, OTHERS[name])
