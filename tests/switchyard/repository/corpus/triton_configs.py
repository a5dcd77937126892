"""Broken models in Triton's layout: mistakes in config.pbtxt, which no graph is needed to see."""

from switchyard.repository.verdict import FaultCode as C
from tests.switchyard.repository.corpus.case import Build, Case, no_vision
from tests.switchyard.repository.corpus.graphs import CONFIG, relu, save

FILE = "config.pbtxt"


def with_config(old: str, new: str) -> Build:
    assert old in CONFIG, old
    return save(relu(), CONFIG.replace(old, new, 1))


def with_more(text: str, **files: str) -> Build:
    return save(relu(), CONFIG + text, **files)


CASES: tuple[Case, ...] = (
    no_vision("syntax-error", with_config("dims: [4]", "dims: [4"), C.CONFIG, FILE, "line 3", "correct it"),
    no_vision(
        "unknown-field",
        with_config("max_batch_size", "max_batchsize"),
        C.CONFIG,
        FILE,
        "'max_batchsize'",
        "write `max_batch_size`",
    ),
    no_vision(
        "unknown-type", with_config("TYPE_FP32", "TYPE_FLOAT32"), C.CONFIG, FILE, "'TYPE_FLOAT32'", "write TYPE_FP32"
    ),
    no_vision(
        "backend-of-pytorch",
        with_config("onnxruntime", "pytorch"),
        C.CONFIG,
        FILE,
        "'pytorch'",
        "export the model to ONNX",
    ),
    no_vision(
        "backend-called-onnx",
        with_config("onnxruntime", "onnx"),
        C.CONFIG,
        FILE,
        "'onnx'",
        'write `backend: "onnxruntime"`',
    ),
    no_vision(
        "platform-of-tensorflow",
        with_config('backend: "onnxruntime"', 'platform: "tensorflow_savedmodel"'),
        C.CONFIG,
        FILE,
        "'tensorflow_savedmodel'",
        "export the model to ONNX",
    ),
    no_vision(
        "of-two-formats",
        with_config('backend: "onnxruntime"', 'backend: "python" platform: "onnxruntime_onnx"'),
        C.CONFIG,
        FILE,
        "onnx and python at once",
        "leave one",
    ),
    no_vision("another-name", with_more('name: "my-model"\n'), C.CONFIG, FILE, "'my-model'", "remove the line"),
    no_vision(
        "negative-batch",
        with_config("max_batch_size: 8", "max_batch_size: -1"),
        C.CONFIG,
        FILE,
        "max_batch_size: -1",
        "write 0",
    ),
    no_vision(
        "larger-preference",
        with_more("dynamic_batching { preferred_batch_size: [64] }\n"),
        C.CONFIG,
        FILE,
        "batches of 64",
        "write a size from 1",
    ),
    no_vision(
        "for-a-gpu",
        with_more("instance_group { kind: KIND_GPU gpus: [0] }\n"),
        C.CONFIG,
        FILE,
        "wants a GPU",
        "KIND_AUTO",
    ),
    no_vision(
        "a-thousand-instances",
        with_more("instance_group { count: 1000 }\n"),
        C.CONFIG,
        FILE,
        "1000 instances",
        "at most 64",
    ),
    no_vision(
        "with-an-agent",
        with_more('model_repository_agents { agents { name: "checksum" } }\n'),
        C.CONFIG,
        FILE,
        "agents",
        "remove them",
    ),
    no_vision(
        "an-environment",
        with_more('parameters { key: "EXECUTION_ENV_PATH" value { string_value: "/tmp/env.tar.gz" } }\n'),
        C.CONFIG,
        FILE,
        "EXECUTION_ENV_PATH",
        "numpy and Pillow alone",
    ),
    no_vision(
        "compiled-operators",
        with_more('model_operations { op_library_filename: "ops.so" }\n'),
        C.PICKLE,
        FILE,
        "op_library_filename",
        "remove it",
    ),
    no_vision(
        "threads-in-words",
        with_more('parameters { key: "intra_op_thread_count" value { string_value: "two" } }\n'),
        C.CONFIG,
        FILE,
        "'two'",
        "whole number",
    ),
    no_vision(
        "not-text",
        save(relu(), b"\xff\xfe\x00config"),
        C.UNREADABLE,
        FILE,
        "UTF-8",
    ),
    no_vision(
        "config-with-txt",
        save(relu(), **{"config_pbtxt_txt": CONFIG}),
        C.CONFIG,
        "config.pbtxt.txt",
        "rename it to config.pbtxt",
    ),
    no_vision(
        "input-twice",
        with_more('input { name: "x" data_type: TYPE_FP32 dims: [4] }\n'),
        C.CONFIG,
        FILE,
        "'x' twice",
        "remove one",
    ),
    no_vision("no-size", with_config("dims: [4]", "dims: [0]"), C.CONFIG, FILE, "dims [0]", "sizes from 1"),
    no_vision(
        "bad-reshape",
        with_config("dims: [4]", "dims: [3] reshape { shape: [4] }"),
        C.CONFIG,
        FILE,
        "from [3] to [4]",
        "as many values",
    ),
    no_vision(
        "format-of-images",
        with_config("dims: [4]", "format: FORMAT_NCHW dims: [4]"),
        C.CONFIG,
        FILE,
        "the format of images",
        "leave the format out",
    ),
)
