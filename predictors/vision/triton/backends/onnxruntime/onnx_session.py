"""Opens a model file with the options of a config.pbtxt: threads, optimization, memory, device.

Parameter names and meanings: README of https://github.com/triton-inference-server/onnxruntime_backend
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnxruntime as ort

DEFAULT_FILE = "model.onnx"
_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
_LEVELS = {
    -1: ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    0: ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
    1: ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    2: ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
}


class ModelFileError(Exception):
    """The model file cannot be opened; the message says which, why and what to do."""


def model_file(version_folder: Path, config: Mapping[str, Any]) -> Path:
    """Return the file of a model's version.

    Raises:
        ModelFileError: it does not exist, or is not in the folder.
    """
    name = config.get("default_model_filename") or DEFAULT_FILE
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ModelFileError(f"default_model_filename is '{name}', which leaves the folder of its version")
    path = version_folder / name
    if path.exists():
        return path
    found = ", ".join(sorted(entry.name for entry in version_folder.glob("*.onnx"))) or "no *.onnx file"
    raise ModelFileError(
        f"{path} is missing (the folder has {found}): put the model there, name it by default_model_filename, "
        "or run `make setup`, which fetches what weights.lock names"
    )


def open_session(path: Path, options: ort.SessionOptions, providers: list[Any]) -> ort.InferenceSession:
    """Open the model in ``path``.

    Raises:
        ModelFileError: the file is not an ONNX model, or this version of ONNX Runtime cannot run it.
    """
    try:
        return ort.InferenceSession(str(path), sess_options=options, providers=providers)
    except Exception as err:  # ONNX Runtime's exceptions have no common base class
        reason = str(err).splitlines()[0] if str(err) else type(err).__name__
        raise ModelFileError(f"{path} ({path.stat().st_size} bytes) cannot be read as an ONNX model: {reason}") from err


def quick_options() -> ort.SessionOptions:
    """Return options for a session whose inputs and outputs are read, but which never runs."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    return options


def session_options(config: Mapping[str, Any]) -> ort.SessionOptions:
    """Return the options in a config's ``parameters`` and ``optimization``.

    Raises:
        ModelFileError: a parameter is not a number where one is required.
    """
    options = ort.SessionOptions()
    level = int(config.get("optimization", {}).get("graph", {}).get("level", 0))
    options.graph_optimization_level = _LEVELS.get(level, ort.GraphOptimizationLevel.ORT_ENABLE_ALL)
    # 0 leaves the number to ONNX Runtime: a thread for each core, which several instances of a model would fight for.
    options.intra_op_num_threads = whole_number(config, "intra_op_thread_count", 0)
    options.inter_op_num_threads = whole_number(config, "inter_op_thread_count", 0)
    options.enable_cpu_mem_arena = whole_number(config, "enable_mem_arena", 1) != 0
    options.enable_mem_pattern = whole_number(config, "enable_mem_pattern", 1) != 0
    if whole_number(config, "execution_mode", 0) == 1:
        options.execution_mode = ort.ExecutionMode.ORT_PARALLEL
    for key in config.get("parameters", {}):
        if key.startswith("session."):
            options.add_session_config_entry(key, _parameter(config, key, ""))
    return options


def run_options(config: Mapping[str, Any]) -> ort.RunOptions:
    """Return the options of every run."""
    options = ort.RunOptions()
    shrink = _parameter(config, "memory.enable_memory_arena_shrinkage", "")
    if shrink:
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", shrink)
    return options


def providers(config: Mapping[str, Any], kind: str, device: str) -> list[Any]:
    """Return the execution providers of an instance: CUDA first if the instance is on a GPU and this build has it."""
    if kind != "GPU" or _CUDA not in ort.get_available_providers():
        return [_CPU]
    accelerators = config.get("optimization", {}).get("execution_accelerators", {})
    tuned: dict[str, str] = {}
    for accelerator in accelerators.get("gpu_execution_accelerator", []):
        if accelerator["name"] == "cuda":
            tuned.update(accelerator.get("parameters", {}))
    return [(_CUDA, {**tuned, "device_id": device}), _CPU]


def whole_number(config: Mapping[str, Any], name: str, default: int) -> int:
    """Return a parameter that is a number.

    Raises:
        ModelFileError: it is something else.
    """
    text = _parameter(config, name, str(default))
    try:
        return int(text)
    except ValueError:
        raise ModelFileError(f"config.pbtxt: parameter {name} is '{text}', which is not a whole number") from None


def _parameter(config: Mapping[str, Any], name: str, default: str) -> str:
    entry = config.get("parameters", {}).get(name)
    return default if entry is None else str(entry["string_value"])
