"""The fields of Triton's configuration that a model's folder may use; what nobody decided about is a fault.

Triton trusts its configuration: a field names a library to load, a file to write, or how much of the machine to take.
https://github.com/triton-inference-server/common/blob/main/protobuf/model_config.proto
"""

from collections.abc import Iterator, Mapping
from typing import Any

from switchyard.repository.names import quoted
from switchyard.repository.triton.schema import CONFIG
from switchyard.repository.verdict import Fault, FaultCode

_TENSOR = ("name", "data_type", "dims", "reshape.shape")
_ACCELERATOR = "optimization.execution_accelerators.gpu_execution_accelerator"
# What is in them is for config.py, tensors.py, versions.py, ensemble.py, labels.py, warmup.py, sequences.py and
# parameters.py to judge, as far as it can be wrong.
TAKEN = frozenset(
    (
        *("name", "platform", "backend", "max_batch_size", "default_model_filename", "parameters"),
        *("version_policy.latest.num_versions", "version_policy.all", "version_policy.specific.versions"),
        *(f"input.{name}" for name in (*_TENSOR, "format", "allow_ragged_batch", "optional")),
        *(f"output.{name}" for name in (*_TENSOR, "label_filename")),
        *(f"batch_input.{name}" for name in ("kind", "target_name", "data_type", "source_input")),
        *(f"batch_output.{name}" for name in ("kind", "target_name", "source_input")),
        *(f"instance_group.{name}" for name in ("name", "kind", "count", "gpus")),
        *("optimization.graph.level", f"{_ACCELERATOR}.name", f"{_ACCELERATOR}.parameters"),
        *("optimization.input_pinned_memory.enable", "optimization.output_pinned_memory.enable"),
        "optimization.eager_batching",
        *(f"dynamic_batching.{name}" for name in ("preferred_batch_size", "max_queue_delay_microseconds")),
        *(f"dynamic_batching.{name}" for name in ("preserve_ordering", "priority_levels", "default_priority_level")),
        *(f"dynamic_batching.{name}" for name in ("default_queue_policy", "priority_queue_policy")),
        *("sequence_batching.direct.max_queue_delay_microseconds", "sequence_batching.direct.minimum_slot_utilization"),
        *(f"sequence_batching.oldest.{name}" for name in ("max_candidate_sequences", "preferred_batch_size")),
        *(f"sequence_batching.oldest.{name}" for name in ("max_queue_delay_microseconds", "preserve_ordering")),
        *("sequence_batching.max_sequence_idle_microseconds", "sequence_batching.control_input"),
        *(f"sequence_batching.state.{name}" for name in ("input_name", "output_name", "data_type", "dims")),
        *("sequence_batching.state.initial_state", "sequence_batching.state.use_same_buffer_for_input_output"),
        *(f"ensemble_scheduling.step.{name}" for name in ("model_name", "model_version", "input_map", "output_map")),
        *("model_warmup", "model_transaction_policy.decoupled"),
    )
)
REFUSED: Mapping[str, str] = {
    "runtime": "names a library to load: remove it; code is not loaded with a model",
    "cc_model_filenames": "names files by the GPU they run on: write default_model_filename",
    "input.is_shape_tensor": "is TensorRT's, which this Triton does not have: remove it",
    "input.is_non_linear_format_io": "is TensorRT's, which this Triton does not have: remove it",
    "output.is_shape_tensor": "is TensorRT's, which this Triton does not have: remove it",
    "output.is_non_linear_format_io": "is TensorRT's, which this Triton does not have: remove it",
    "optimization.priority": "puts a model before the others: remove it",
    "optimization.cuda": "is TensorRT's, which this Triton does not have: remove it",
    "optimization.execution_accelerators.cpu_execution_accelerator": "writes files of its own: remove it",
    "optimization.gather_kernel_buffer_threshold": "is for kernels that no backend here has: remove it",
    "sequence_batching.iterative_sequence": "keeps a request for as long as the model wants: remove it",
    "sequence_batching.state.use_growable_memory": "has no bound: remove it",
    "ensemble_scheduling.max_inflight_requests": "is not known to every Triton that serves: remove it",
    "ensemble_scheduling.step.model_namespace": "names another repository, and there is one: remove it",
    "instance_group.rate_limiter": "takes resources from other models: remove it",
    "instance_group.secondary_devices": "names devices that no backend here uses: remove it",
    "instance_group.profile": "is TensorRT's, which this Triton does not have: remove it",
    "instance_group.passive": "makes an instance that serves nothing: remove it",
    "instance_group.host_policy": "names a setting of the machine: remove it",
    "metric_tags": "adds labels to metrics, which the platform chooses: remove it",
    "model_operations": "loads compiled operators (op_library_filename): remove it; code is not loaded with a model",
    "model_repository_agents": "names agents, of which this Triton has none: remove them",
    "response_cache": "wants a cache, which this Triton does not have: remove it",
    "model_metrics": "changes metrics, which the platform chooses: remove it",
}
_CODE = ("runtime", "model_operations")
_SECONDS = 1_000_000  # microseconds
_MOST: Mapping[str, int] = {
    "max_batch_size": 1 << 20,  # rows of a table; pictures are bounded by memory
    "instance_group.gpus": 63,  # no machine has more
    "dynamic_batching.max_queue_delay_microseconds": 10 * _SECONDS,  # for which every request may wait
    "dynamic_batching.priority_levels": 100,  # each has a queue
    "dynamic_batching.default_priority_level": 100,
    "sequence_batching.direct.max_queue_delay_microseconds": 10 * _SECONDS,
    "sequence_batching.oldest.max_queue_delay_microseconds": 10 * _SECONDS,
    "sequence_batching.oldest.max_candidate_sequences": 1024,  # each has its states in memory
    "sequence_batching.max_sequence_idle_microseconds": 3600 * _SECONDS,  # for which it holds its place
}


def field_faults(config: Any) -> Iterator[Fault]:
    """Say which fields a folder may not use, and which numbers are beyond their bound."""
    yield from _message(config, "")


def _message(message: Any, above: str) -> Iterator[Fault]:
    for field, value in message.ListFields():
        path = f"{above}{field.name}"
        if path in TAKEN:
            yield from _beyond(path, value)
        elif any(taken.startswith(f"{path}.") for taken in TAKEN):
            for inner in value if field.is_repeated else (value,):
                yield from _message(inner, f"{path}.")
        else:
            why = REFUSED.get(path, "is not taken from a model's folder: remove it")
            code = FaultCode.PICKLE if path in _CODE else FaultCode.CONFIG
            yield Fault(code=code, file=CONFIG, message=f"{CONFIG} has {quoted(path)}, which {why}.")


def _beyond(path: str, value: Any) -> Iterator[Fault]:
    most = _MOST.get(path)
    if most is None:
        return
    given = max(value) if not isinstance(value, int) else value
    if given > most:
        message = f"{CONFIG} has {quoted(path)} {given}: write at most {most}."
        yield Fault(code=FaultCode.CONFIG, file=CONFIG, message=message)
