"""One run of a model in Python, in a process of its own: loaded, asked once, and ended, as Triton would do it."""

import asyncio
import importlib
import inspect
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from switchyard.repository.judging.python import backend_utils
from switchyard.repository.judging.python.backend_config import ModelConfig, as_json
from switchyard.repository.judging.python.backend_tensors import Tensor, UsageError
from switchyard.repository.judging.python.errors import Errors
from switchyard.repository.judging.samples import DTYPES, Sample, samples
from switchyard.repository.names import quoted
from switchyard.repository.triton import schema
from switchyard.repository.triton.tensors import fit, graph_dims
from switchyard.repository.verdict import FaultCode

CLASS = "TritonPythonModel"
DONE = "done"
_SHIMS = ("triton_python_backend_utils", "c_python_backend_utils")
_INSTALLED = {"numpy", "PIL"}
_NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()} | {np.dtype(bool): "TYPE_BOOL"}
Say = Callable[[Mapping[str, str]], None]


class PythonRun:
    """Runs the model in ``file``, a path below ``folder``; ``say`` gets stages, notes and faults."""

    def __init__(self, folder: Path, file: str, config: Any, say: Say) -> None:
        self._folder, self._file, self._config, self._say = folder, file, config, say
        self._version = file.partition("/")[0]
        self._errors = Errors(folder, file)

    def run(self) -> None:
        """Load it, ask it and end it, as far as it comes."""
        self._say({"stage": "load"})
        try:
            model = self._loaded()
        except BaseException as err:
            self._say(self._errors.at_load(err))
            return
        if {tensor.data_type for tensor in (*self._config.input, *self._config.output)} - _KNOWN_TYPES:
            return
        self._say({"stage": "execute"})
        backend_utils.Run.executes = True
        for row in self._asked(model):
            self._say(row)
        self._say({"stage": "end"})
        try:
            if hasattr(model, "finalize"):
                model.finalize()
        except BaseException as err:
            self._say(self._errors.at_end(err))
        self._say({"stage": DONE})

    def _loaded(self) -> Any:
        _import_path(self._folder, self._version)
        backend_utils.Run.model_dir = str(self._folder / self._version)
        module = importlib.import_module(self._file.removesuffix(".py").replace("/", "."))
        kind = getattr(module, CLASS)
        config = as_json(self._config, self._folder.name)
        if hasattr(kind, "auto_complete_config"):
            completed = kind.auto_complete_config(ModelConfig(config))
            if not isinstance(completed, ModelConfig):
                raise UsageError("auto_complete_config must return the configuration that it is given")
            config = json.dumps(completed.as_dict())
        model = kind()
        if hasattr(model, "initialize"):
            model.initialize(
                {
                    "model_config": config,
                    "model_instance_kind": "CPU",
                    "model_instance_name": f"{self._folder.name}_0_0",
                    "model_instance_device_id": "0",
                    "model_repository": str(self._folder),
                    "model_version": self._version,
                    "model_name": self._folder.name,
                }
            )
        return model

    def _asked(self, model: Any) -> Iterator[Mapping[str, str]]:
        """Ask for what the samples say until one is taken; yield what is wrong."""
        is_guess = not self._config.model_warmup
        fault: Mapping[str, str] | None = None
        for sample in samples(self._config, self._folder):
            request = self._request(sample)
            try:
                responses = self._responses(model, request)
            except BaseException as err:
                found = self._errors.at_run(err, model, is_guess=is_guess)
                if "fault" in found or not is_guess:
                    yield found
                    return
                fault = fault or found
                continue
            if said := next((each.error().message() for each in responses if each.has_error()), None):
                fault = fault or self._errors.in_response(said, is_guess=is_guess)
                continue
            for response in responses:
                yield from self._of_outputs(response)
            return
        if fault:
            yield fault

    def _request(self, sample: Sample) -> backend_utils.InferenceRequest:
        inputs = [Tensor(name, _as_requests_have_it(value)) for name, value in sample.feed.items()]
        return backend_utils.InferenceRequest(
            request_id="check",
            inputs=inputs,
            requested_output_names=[output.name for output in self._config.output],
            model_name=self._folder.name,
            model_version=int(self._version),
        )

    def _responses(self, model: Any, request: backend_utils.InferenceRequest) -> list[Any]:
        given = model.execute([request])
        if inspect.isawaitable(given):
            given = asyncio.run(_awaited(given))
        sent = request.get_response_sender().sent
        if given is None and (sent or self._config.model_transaction_policy.decoupled):
            return sent
        if self._config.model_transaction_policy.decoupled:
            raise UsageError("execute of a decoupled model must return None, and send its responses")
        if not isinstance(given, list):
            raise UsageError(f"execute must return a list of responses, and returns {_type(given)}")
        if len(given) != 1:
            raise UsageError(f"execute must return one response for each request, and returns {len(given)} for one")
        if given == [None] and sent:
            return sent
        if not isinstance(given[0], backend_utils.InferenceResponse):
            raise UsageError(f"execute must return InferenceResponses, and returns {_type(given[0])}")
        return given

    def _of_outputs(self, response: backend_utils.InferenceResponse) -> Iterator[Mapping[str, str]]:
        given = {tensor.name(): tensor.as_numpy() for tensor in response.output_tensors()}
        for tensor in self._config.output:
            told, dims = schema.DataType.Name(tensor.data_type), list(graph_dims(tensor))
            what = f"config.pbtxt says that output {quoted(tensor.name)} is {told} {dims}, but a run of "
            what += quoted(self._file)
            if tensor.name not in given:
                names = ", ".join(quoted(name) for name in given) or "nothing"
                yield _contradiction(f"{what} gives {names}: give every output by its name.")
                continue
            value = given[tensor.name]
            found = "TYPE_STRING" if value.dtype.kind in "OS" else _NAMES.get(value.dtype, str(value.dtype))
            shape = list(value.shape[1:] if self._config.max_batch_size > 0 else value.shape)
            if found != told or not fit(dims, shape):
                yield _contradiction(f"{what} gives {found} {shape}: write this, or correct the code.")
            elif value.dtype.kind == "f" and not np.isfinite(value).all():
                note = (
                    f"{quoted(self._file)} gives values that are no numbers in {quoted(tensor.name)} for random inputs."
                )
                yield {"note": note}


_KNOWN_TYPES = {schema.DataType.Value(name) for name in DTYPES}


def _contradiction(message: str) -> Mapping[str, str]:
    return {"fault": message, "code": FaultCode.PYTHON, "file": "config.pbtxt"}


def _type(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def _as_requests_have_it(value: Any) -> Any:
    if value.dtype != np.object_:
        return value
    texts = [each if isinstance(each, bytes) else str(each).encode() for each in value.flatten().tolist()]
    return np.array(texts, dtype=object).reshape(value.shape)


async def _awaited(coroutine: Any) -> Any:
    return await coroutine


def _import_path(folder: Path, version: str) -> None:
    """Let imports find what they would find beside Triton: its module, and the files of this version."""
    own = {path.name.removesuffix(".py") for path in (folder / version).iterdir()}
    for name in tuple(sys.modules):
        if name.partition(".")[0] in own - sys.stdlib_module_names - _INSTALLED:
            del sys.modules[name]
    entries = [entry for entry in sys.path if entry and not _is_ours(entry)]
    packages = next((number for number, entry in enumerate(entries) if "site-packages" in entry), len(entries))
    sys.path[:] = [*entries[:packages], str(folder), str(folder / version), *entries[packages:]]
    backend_utils.__name__ = _SHIMS[0]  # as messages of Python's have it
    sys.modules.update(dict.fromkeys(_SHIMS, backend_utils))


def _is_ours(entry: str) -> bool:
    return os.path.isdir(os.path.join(entry, "switchyard", "repository"))
