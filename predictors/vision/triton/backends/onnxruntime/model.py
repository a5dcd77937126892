"""ONNX Runtime as a Python-based Triton backend, for servers without NVIDIA's backend: the same configs run on both.

Triton starts one process per instance with this class in it, for every model. Inputs and outputs that a config.pbtxt
does not describe are completed from the graph. The requests of one dynamic batch run as one; when a batch fails, its
requests run one by one, so that each gets its own response or error.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx_errors
import onnx_graph
import run_time
import time_slices
import triton_python_backend_utils as pb_utils

time_slices.ask_for(time_slices.LONGEST)  # until ``initialize`` ends

DEFAULT_BATCH = 4  # the value that NVIDIA's backend adds

Inputs = dict[str, np.ndarray[Any, Any]]


class TritonPythonModel:
    """One instance of one ONNX model."""

    @staticmethod
    def auto_complete_config(config: Any) -> Any:
        """Add the inputs, outputs and batch size that the config leaves out, from the graph."""
        given = config.as_dict()
        if given["input"] and given["output"]:
            return config
        import onnx_session  # imports ONNX Runtime, which a complete config does not need

        try:
            path = onnx_session.model_file(Path(pb_utils.get_model_dir()), given)
            session = onnx_session.open_session(path, onnx_session.quick_options(), ["CPUExecutionProvider"])
            _complete(config, onnx_graph.graph_of(session))
        except (onnx_session.ModelFileError, onnx_graph.MismatchError) as err:
            raise pb_utils.TritonModelException(str(err)) from err
        return config

    def initialize(self, args: dict[str, str]) -> None:
        """Open the model's file.

        Raises:
            TritonModelException: the file is missing or not an ONNX model, or the config contradicts the graph.
        """
        try:
            self._open(args)
        finally:
            time_slices.ask_for(time_slices.USUAL)

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Run every request; compatible ones run as one batch."""
        read = [self._read(request) for request in requests]
        # In the order of the config; what a request wants is a set.
        wanted = [[name for name in self._outputs if name in request.requested_output_names()] for request in requests]
        inputs = [each for each in read if isinstance(each, dict)]
        if len(inputs) == len(requests) > 1 and self._batched and _fit_together(inputs):
            try:
                return self._run_batch(inputs, wanted)
            except Exception as err:  # as in _run_one
                pb_utils.Logger.log_verbose(f"a batch of {len(requests)} failed and is run one by one: {err}")
        return [
            self._run_one(each, names) if isinstance(each, dict) else _rejected(each)
            for each, names in zip(read, wanted, strict=True)
        ]

    def _open(self, args: dict[str, str]) -> None:
        import onnx_session

        config = json.loads(args["model_config"])
        folder = Path(args["model_repository"], args["model_version"])
        kind, device = args["model_instance_kind"], args["model_instance_device_id"]
        try:
            path = onnx_session.model_file(folder, config)
            options, providers = onnx_session.session_options(config), onnx_session.providers(config, kind, device)
            self._session = onnx_session.open_session(path, options, providers)
            graph = onnx_graph.graph_of(self._session)
            onnx_graph.check(config, graph)
        except (onnx_session.ModelFileError, onnx_graph.MismatchError) as err:
            raise pb_utils.TritonModelException(str(err)) from err
        if kind == "GPU" and "CUDAExecutionProvider" not in self._session.get_providers():
            pb_utils.Logger.log_warn(f"{args['model_name']} runs on the CPU: this ONNX Runtime has no CUDA provider")
        self._run_options = onnx_session.run_options(config)
        self._batched = config["max_batch_size"] > 0
        self._inputs = [tensor.name for tensor in graph.inputs]
        self._outputs = [tensor["name"] for tensor in config["output"]]
        self._texts = {tensor["name"] for tensor in config["output"] if tensor["data_type"] == "TYPE_STRING"}

    def _read(self, request: Any) -> Inputs | str:
        """Return the inputs of a request, or why it has none: then the others of its batch run without it."""
        tensors = {name: pb_utils.get_input_tensor_by_name(request, name) for name in self._inputs}
        inputs: Inputs = {}
        for name, tensor in tensors.items():
            try:
                if tensor is not None:
                    inputs[name] = _to_onnx(tensor.as_numpy())
            except UnicodeDecodeError as err:
                return f"input '{name}' is not UTF-8: {err}"
        return inputs

    def _run_one(self, inputs: Inputs, names: Sequence[str]) -> Any:
        try:
            outputs = self._run(inputs, names)
        except Exception as err:  # ONNX Runtime's exceptions have no common base class
            pb_utils.Logger.log_verbose(f"a request failed: {err}")
            return _rejected(onnx_errors.rejection(str(err), {name: each.shape for name, each in inputs.items()}))
        return pb_utils.InferenceResponse([pb_utils.Tensor(name, outputs[name]) for name in names])

    def _run_batch(self, inputs: Sequence[Inputs], wanted: Sequence[Sequence[str]]) -> list[Any]:
        sizes = [len(next(iter(each.values()))) for each in inputs]
        joined = {name: np.concatenate([each[name] for each in inputs]) for name in inputs[0]}
        outputs = self._run(joined, list(dict.fromkeys(name for names in wanted for name in names)))
        ends = np.cumsum(sizes)
        if any(len(array) != ends[-1] for array in outputs.values()):
            raise ValueError("the graph does not keep the batch dimension")
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor(name, outputs[name][end - size : end]) for name in names])
            for size, end, names in zip(sizes, ends, wanted, strict=True)
        ]

    def _run(self, inputs: Inputs, names: Sequence[str]) -> Inputs:
        with run_time.bounded():
            arrays = self._arrays(inputs, names)
        return {name: _from_onnx(array) for name, array in zip(names, arrays, strict=True)}

    def _arrays(self, inputs: Inputs, names: Sequence[str]) -> list[Any]:
        # Text cannot be bound: as an output, it ends the process.
        if any(array.dtype == object for array in inputs.values()) or not self._texts.isdisjoint(names):
            return list(self._session.run(list(names), inputs, self._run_options))
        binding = self._session.io_binding()
        for name, array in inputs.items():
            binding.bind_cpu_input(name, np.ascontiguousarray(array))
        for name in names:
            binding.bind_output(name)
        self._session.run_with_iobinding(binding, self._run_options)
        return list(binding.copy_outputs_to_cpu())


def _complete(config: Any, graph: onnx_graph.Graph) -> None:
    given = config.as_dict()
    batch = given["max_batch_size"] or (DEFAULT_BATCH if graph.batches else 0)
    config.set_max_batch_size(batch)
    if batch > 1:
        config.set_dynamic_batching()
    for key, add, tensors in (
        ("input", config.add_input, graph.inputs),
        ("output", config.add_output, graph.outputs),
    ):
        if not given[key]:
            for tensor in tensors:
                dims = tensor.dims[1:] if batch else tensor.dims
                add({"name": tensor.name, "data_type": tensor.data_type, "dims": list(dims)})


def _rejected(message: str) -> Any:
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(message, pb_utils.TritonError.INVALID_ARG))


def _fit_together(inputs: Sequence[Inputs]) -> bool:
    return len({tuple((name, array.shape[1:]) for name, array in each.items()) for each in inputs}) == 1


def _to_onnx(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Convert text: Triton's is bytes, ONNX's is str."""
    if array.dtype != object:
        return array
    texts = [item.decode() if isinstance(item, bytes) else item for item in array.ravel()]
    return np.array(texts, dtype=object).reshape(array.shape)


def _from_onnx(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if array.dtype.kind not in "OU":
        return array
    return np.array([str(item).encode() for item in array.ravel()], dtype=object).reshape(array.shape)
