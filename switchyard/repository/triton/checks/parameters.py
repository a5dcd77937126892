"""The parameters of config.pbtxt, which each backend reads as it likes: a list of those that a folder may give."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from switchyard.repository.names import quoted
from switchyard.repository.triton.faults import nearest
from switchyard.repository.triton.schema import CONFIG
from switchyard.repository.verdict import Fault, FaultCode, Format

_MOST_THREADS = 64
_LONGEST = 4096  # characters of a value: the names of a hundred models
_SWITCH, _NUMBER, _TEXT = re.compile(r"[01]"), re.compile(r"-?[0-9]{1,18}"), re.compile(r"[^\x00-\x1f\x7f-\x9f]*")
_NAMES = re.compile(r"[a-z0-9_:;]{1,100}")
# For predictors/vision: how pictures become values, the models that this one calls, and whether it stays loaded.
_ALL = dict.fromkeys(("scale", "mean", "std", "invert", "steps"), _TEXT) | {"pinned": re.compile("true|false")}
# https://github.com/triton-inference-server/onnxruntime_backend#model-config-options and ONNX Runtime's options of
# sessions; what writes profiles, optimized models or contexts into files is not among them, nor what loads libraries.
_ONNX = {
    **dict.fromkeys(("intra_op_thread_count", "inter_op_thread_count"), _NUMBER),
    **dict.fromkeys(("enable_mem_arena", "enable_mem_pattern", "execution_mode"), _SWITCH),
    **dict.fromkeys(("cudnn_conv_algo_search", "gpu_mem_limit", "arena_extend_strategy"), _NUMBER),
    "memory.enable_memory_arena_shrinkage": _NAMES,
    **dict.fromkeys(
        (
            "session.intra_op.allow_spinning",
            "session.inter_op.allow_spinning",
            "session.force_spinning_stop",
            "session.set_denormal_as_zero",
            "session.disable_prepacking",
            "session.disable_quant_qdq",
            "session.enable_quant_qdq_cleanup",
            "session.use_device_allocator_for_initializers",
            "session.use_env_allocators",
        ),
        _SWITCH,
    ),
    "session.dynamic_block_base": _NUMBER,
}
_CUDA = re.compile(
    "cudnn_conv_(algo_search|use_max_workspace|1d_pad_to_nc1d)|arena_extend_strategy|do_copy_in_default_stream"
)
_OWN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")  # of a model in Python


def parameter_faults(config: Any, form: Format) -> Iterator[Fault]:
    """Say which parameters a folder may not give, or not like that."""
    for message in (*_parameters(config, form), *_accelerators(config)):
        yield Fault(code=FaultCode.CONFIG, file=CONFIG, message=message)


def _parameters(config: Any, form: Format) -> Iterator[str]:
    known = _ALL | _ONNX if form == "onnx" else _ALL
    for key in sorted(config.parameters):
        value = config.parameters[key].string_value
        pattern = known.get(key)
        if key == "EXECUTION_ENV_PATH":
            yield f"{CONFIG} brings an environment ({key}), which is not unpacked: use numpy and Pillow alone."
        elif pattern is None and form == "python" and _OWN.fullmatch(key) and not key.isupper():
            pattern = _TEXT
        elif pattern is None:
            yield _unknown(key, form, known)
        if pattern and not pattern.fullmatch(value):
            yield f"{CONFIG} gives the parameter {key} as {quoted(value)}: write {_WANTED[pattern]}."
        elif len(value) > _LONGEST:
            yield f"{CONFIG} gives the parameter {key} {len(value)} characters: write at most {_LONGEST}."
        elif key.endswith("_thread_count") and form == "onnx" and int(value) > _MOST_THREADS:
            yield f"{CONFIG} gives the parameter {key} as {quoted(value)}: write at most {_MOST_THREADS}."


_WANTED = {
    _SWITCH: "the whole number 0 or 1",
    _NUMBER: "a whole number",
    _NAMES: "devices, such as cpu:0",
    _TEXT: "text without control characters",
}


def _unknown(key: str, form: Format, known: Mapping[str, object]) -> str:
    if form == "python":
        fix = "name parameters of your own in lower-case letters; those in capitals are Triton's"
    else:
        like = nearest(key, tuple(known), likeness=0.8)
        fix = f"write {quoted(like)}" if like else "remove it"
    return f"{CONFIG} has the parameter {quoted(key)}, which is not taken from a model's folder: {fix}."


def _accelerators(config: Any) -> Iterator[str]:
    for given in config.optimization.execution_accelerators.gpu_execution_accelerator:
        if given.name != "cuda":
            yield f"{CONFIG} wants the accelerator {quoted(given.name)}, which writes files of its own: write 'cuda'."
        for key, value in given.parameters.items():
            if not _CUDA.fullmatch(key) or not re.fullmatch(r"\w{1,40}", value):
                yield (
                    f"{CONFIG} gives the accelerator 'cuda' the parameter {quoted(key)} {quoted(value)}, which is not "
                    "taken from a model's folder: remove it."
                )
