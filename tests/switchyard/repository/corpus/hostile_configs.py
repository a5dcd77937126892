"""Configurations, names and files of Triton's layout that somebody made to do harm, or that would do it anyway."""

import struct
from pathlib import Path

from switchyard.repository.verdict import FaultCode as C
from tests.switchyard.repository.corpus.case import Build, Case, no_llm, no_vision, vision
from tests.switchyard.repository.corpus.chat_good import chat
from tests.switchyard.repository.corpus.graphs import CONFIG, FLOAT, model, node, packed, put, relu, save
from tests.switchyard.repository.corpus.triton_configs import FILE, with_config, with_more
from tests.switchyard.repository.corpus.triton_good import PYTHON, PYTHON_CONFIG, WARMUP
from tests.switchyard.repository.huggingface.models import both, edit, write

ELF = b"\x7fELF\x02\x01\x01" + bytes(64)
PE = b"MZ" + bytes(58) + struct.pack("<I", 128) + bytes(64) + b"PE\0\0"
MACH_O = b"\xcf\xfa\xed\xfe" + bytes(64)
STATE = """sequence_batching { oldest { max_candidate_sequences: 4 } state { input_name: "s" output_name: "t"
  data_type: TYPE_FP32 dims: [4] initial_state { name: "i" data_type: TYPE_FP32 dims: [4] data_file: "FILE" } } }
"""


def _parameter(key: str, value: str = "1") -> str:
    return f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}\n'


def _beside(file: str, content: bytes) -> Build:
    def build(folder: Path) -> None:
        save(relu(), CONFIG)(folder)
        put(folder, file, content)

    return build


def _rejected(name: str, text: str, *words: str) -> Case:
    return no_vision(name, with_more(text + "\n"), C.CONFIG, FILE, *words)


def _input(name: str) -> bytes:
    """A graph whose one input is ``name``."""
    return packed(model([node("Relu", name, "y")], {name: (FLOAT, ["batch", 4])}))


def _many_outputs() -> bytes:
    names = [f"{'y' * 200}{number}" for number in range(300)]
    nodes = [node("Relu", "x", name) for name in names]
    return packed(model(nodes, outputs={name: (FLOAT, ["batch", 4]) for name in names}))


FIELDS: tuple[Case, ...] = (
    no_vision("a-runtime", with_more('runtime: "evil.dat"\n'), C.PICKLE, FILE, "'runtime'", "remove it"),
    _rejected(
        "files-elsewhere-by-gpu",
        'cc_model_filenames { key: "7.5" value: "../../x/1/model.onnx" }',
        "'cc_model_filenames'",
        "write default_model_filename",
    ),
    _rejected("a-cache", "response_cache { enable: true }", "'response_cache", "remove it"),
    _rejected(
        "a-host-policy", 'instance_group { host_policy: "../../x" }', "'instance_group.host_policy'", "remove it"
    ),
    _rejected(
        "a-secondary-device",
        "instance_group { secondary_devices { kind: KIND_NVDLA device_id: 7 } }",
        "'instance_group.secondary_devices'",
        "remove it",
    ),
    _rejected(
        "all-resources",
        'instance_group { rate_limiter { resources { name: "R" global: true count: 4000000000 } } }',
        "'instance_group.rate_limiter'",
        "remove it",
    ),
    _rejected(
        "a-cache-of-openvino",
        'optimization { execution_accelerators { cpu_execution_accelerator { name: "openvino" parameters { '
        'key: "cache_dir" value: "/tmp" } } } }',
        "cpu_execution_accelerator'",
        "remove it",
    ),
    _rejected(
        "a-cache-of-tensorrt",
        'optimization { execution_accelerators { gpu_execution_accelerator { name: "tensorrt" parameters { '
        'key: "trt_engine_cache_path" value: "/tmp" } } } }',
        "'tensorrt'",
        "write 'cuda'",
    ),
    _rejected("tags-of-metrics", 'metric_tags { key: "model" value: "another" }', "'metric_tags'", "remove it"),
    _rejected(
        "a-wait-of-an-hour",
        "dynamic_batching { max_queue_delay_microseconds: 3600000000 }",
        "'dynamic_batching.max_queue_delay_microseconds' 3600000000",
        "at most 10000000",
    ),
    _rejected(
        "a-billion-queues",
        "dynamic_batching { priority_levels: 4000000000 default_priority_level: 1 }",
        "'dynamic_batching.priority_levels'",
        "at most 100",
    ),
    no_vision(
        "a-billion-rows",
        with_config("max_batch_size: 8", "max_batch_size: 2000000000"),
        C.CONFIG,
        FILE,
        "at most 1048576",
    ),
    no_vision(
        "a-state-of-the-system",
        with_more(STATE.replace("FILE", "../../../../etc/passwd")),
        C.LINK,
        FILE,
        "initial state of 's'",
        "copy the file into it",
    ),
    no_vision(
        "a-state-without-its-file",
        with_more(STATE.replace("FILE", "zeros")),
        C.INCOMPLETE,
        "initial_state/zeros",
        "which is missing",
    ),
    no_vision(
        "states-of-terabytes",
        with_more(STATE.replace('data_file: "FILE"', "zero_data: true").replace("[4]", "[1099511627776]")),
        C.CONFIG,
        FILE,
        "values of states",
        "write fewer",
    ),
)

PARAMETERS: tuple[Case, ...] = (
    _rejected(
        "saves-the-model", _parameter("session.save_model_path", "/tmp/x"), "'session.save_model_path'", "remove it"
    ),
    _rejected("saves-profiles", _parameter("profile_file_prefix", "/tmp/x"), "'profile_file_prefix'", "remove it"),
    _rejected(
        "loads-a-strategy",
        _parameter("TRITON_BATCH_STRATEGY_PATH", "/tmp/x"),
        "'TRITON_BATCH_STRATEGY_PATH'",
        "remove it",
    ),
    _rejected("a-misspelled-parameter", _parameter("intra_op_thread_counts"), "write 'intra_op_thread_count'"),
    _rejected("a-thousand-threads", _parameter("intra_op_thread_count", "1000"), "'1000'", "at most 64"),
    no_vision(
        "loads-a-strategy-for-python",
        save(PYTHON.encode(), PYTHON_CONFIG + _parameter("TRITON_BATCH_STRATEGY_PATH", "x"), file="1/model.py"),
        C.CONFIG,
        FILE,
        "'TRITON_BATCH_STRATEGY_PATH'",
        "lower-case",
    ),
    vision(
        "python-with-parameters",
        save(PYTHON.encode(), PYTHON_CONFIG + _parameter("Threshold.of-mine", "0.5 é"), file="1/model.py"),
    ),
    vision(
        "with-every-kind-of-parameter",
        with_more(
            _parameter("session.intra_op.allow_spinning", "0")
            + _parameter("memory.enable_memory_arena_shrinkage", "cpu:0")
            + _parameter("mean", "0.485 0.456 0.406")
            + "optimization { graph { level: 1 } }\n"
        ),
    ),
)

WARMUPS: tuple[Case, ...] = (
    no_vision(
        "warms-up-for-ever",
        with_more(WARMUP.replace("batch_size: 1", "batch_size: 1 count: 4000000000")),
        C.CONFIG,
        FILE,
        "4000000000 rows",
        "at most 100",
    ),
    no_vision(
        "warms-up-in-large-batches",
        with_more(WARMUP.replace("batch_size: 1", "batch_size: 8 count: 13")),
        C.CONFIG,
        FILE,
        "104 rows",
        "at most 100",
    ),
    no_vision(
        "warms-up-with-gigabytes",
        save(
            model([node("Relu", "x", "y")], {"x": (FLOAT, ["batch", None])}, {"y": (FLOAT, ["batch", None])}),
            CONFIG.replace("dims: [4]", "dims: [-1]") + WARMUP.replace("[4]", "[1000000000]"),
        ),
        C.CONFIG,
        FILE,
        "1000000000 values",
        "smaller dims",
    ),
)

NAMES: tuple[Case, ...] = (
    no_vision("a-name-that-commands", save(_input("x\x1b[2J")), C.GRAPH, "1/model.onnx", r"'x\x1b[2J'", "rename it"),
    no_vision("a-name-from-the-right", save(_input("x\u202ey")), C.GRAPH, "1/model.onnx", "be printed", "rename it"),
    no_vision("a-name-of-a-megabyte", save(_input("x" * 1_000_000)), C.GRAPH, "1/model.onnx", "of 256", "rename it"),
    no_vision(
        "a-described-name-that-commands",
        with_config('input { name: "x"', 'input { name: "x\\033[2J"'),
        C.CONFIG,
        FILE,
        "cannot be printed",
        "rename it",
    ),
    no_vision("names-of-half-a-megabyte", save(_many_outputs()), C.TOO_LARGE, "", "of 65536", "shorter names"),
    no_vision(
        "labels-that-command",
        save(
            relu(),
            CONFIG.removesuffix("}\n") + 'label_filename: "labels.txt" }\n',
            labels_txt="a\nb\x1b]0;x\x07\nc\nd\n",
        ),
        C.LABELS,
        "labels.txt",
        "line 2",
        r"'b\x1b]0;x\x07'",
    ),
    vision("a-card-that-commands", save(relu(), CONFIG, README_md="A \x1b[2Jnet\u202e of digits.\n")),
)

FILES: tuple[Case, ...] = (
    no_vision("a-library-as-data", _beside("1/evil.dat", ELF), C.PICKLE, "1/evil.dat", "compiled code", "remove it"),
    no_vision("a-library-with-its-version", _beside("1/libx.so.1", ELF), C.PICKLE, "1/libx.so.1", "compiled code"),
    no_vision(
        "a-program-of-windows", _beside("1/notes.txt", PE), C.PICKLE, "1/notes.txt", "compiled code", "remove it"
    ),
    no_vision("a-library-of-macos", _beside("labels", MACH_O), C.PICKLE, "labels", "compiled code", "remove it"),
    no_vision(
        "a-zip-as-text", _beside("notes.txt", b"PK\x03\x04" + bytes(30)), C.PICKLE, "notes.txt", "zip", "remove it"
    ),
    no_vision("a-pickle-as-text", _beside("1/scaler.txt", b"\x80\x04\x95abc."), C.PICKLE, "1/scaler.txt", "a pickle"),
    no_vision(
        "a-stub-of-its-own",
        _beside("triton_python_backend_stub", b"#!/bin/sh\n"),
        C.PICKLE,
        "triton_python_backend_stub",
        "Triton would run",
        "remove it",
    ),
    no_llm(
        "a-library-beside-a-chat", chat(write("notes.txt", ELF)), C.PICKLE, "notes.txt", "compiled code", "remove it"
    ),
    no_llm(
        "a-verifier-elsewhere",
        chat(edit("config.json", speculators_config={"verifier": {"name_or_path": "/"}, "algorithm": "eagle3"})),
        C.MODEL_CONFIG,
        "config.json",
        "another model to load (speculators_config)",
    ),
    no_llm(
        "another-model-in-mistrals-format",
        chat(both(write("params.json", "{}"), write("consolidated.safetensors", bytes(9)))),
        C.MODEL_CONFIG,
        "consolidated.safetensors",
        "params.json",
        "remove them",
    ),
    no_llm(
        "a-tokenizer-elsewhere",
        chat(write("special_tokens_map.json", '{"tokenizer_file": "/other/tokenizer.json"}')),
        C.TOKENIZER,
        "special_tokens_map.json",
        "tokenizer_file",
        "remove the rest",
    ),
    no_vision("code-beside-a-graph", _beside("1/model.py", b"import os\n"), C.PICKLE, "1/model.py", "remove it"),
    vision("numbers-of-numpy", _beside("1/means.npz", b"PK\x03\x04" + bytes(30))),
    vision("a-label-that-begins-with-mz", _beside("notes.txt", b"MZ is a country code " * 9)),
)

CASES = (*FIELDS, *PARAMETERS, *WARMUPS, *NAMES, *FILES)
