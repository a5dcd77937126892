"""One inference of a model in ONNX or Python, as Triton would run it: what comes out must be what config.pbtxt says.

Ensembles are not run, for what they call lies elsewhere. Language models are run by their predictor's warm-up, before a
request reaches them.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from switchyard.repository.inspection import Inspection
from switchyard.repository.judging.python.process import run_python
from switchyard.repository.judging.samples import DTYPES, Sample, samples
from switchyard.repository.judging.values import TakenValues, operator_of_value, taken_values
from switchyard.repository.names import quoted
from switchyard.repository.triton import schema
from switchyard.repository.triton.tensors import graph_dims
from switchyard.repository.verdict import Facts, Fault, FaultCode

_NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}
_MESSAGE_CHARACTERS = 300
_LOCALE = re.compile(r"Failed to construct locale with name:([\w.@-]+)")


def smoke(folder: Path, facts: Facts, seconds: float) -> Inspection:
    """Run each served version once; return the faults, and the facts without the versions that have one.

    ``seconds`` are what each version in Python may take; the others' bound is the caller's.
    """
    if facts.format not in ("onnx", "python"):
        return Inspection(facts=facts)
    config = _config(folder, facts)
    faults: list[Fault] = []
    notes: list[str] = []
    served: list[str] = []
    for version in facts.versions:
        if facts.format == "python":
            found, noted = run_python(folder, version, config, seconds)
        else:
            run = _Run(folder, version, config)
            found, noted = run.faults(), run.notes
        faults += found
        notes += noted
        if not found:
            served.append(version)
    if not served:
        return Inspection(faults=tuple(faults))
    return Inspection(faults=tuple(faults), facts=replace(facts, versions=tuple(served), notes=(*facts.notes, *notes)))


def _config(folder: Path, facts: Facts) -> Any:
    text = facts.config or (folder / "config.pbtxt").read_text()
    return schema.parse(text)


class _Run:
    def __init__(self, folder: Path, version: str, config: Any) -> None:
        self._folder = folder
        self._file = f"{version}/{config.default_model_filename or 'model.onnx'}"
        self._version = version
        self._config = config
        self._is_guess = True  # until a sample is of sizes that the model has to take
        self._values = TakenValues()
        self.notes: list[str] = []

    def faults(self) -> list[Fault]:
        """Return what is wrong; empty if a run gave what the configuration says."""
        try:
            session = onnxruntime.InferenceSession(
                str(self._folder / self._file), sess_options=_options(), providers=["CPUExecutionProvider"]
            )
        except Exception as err:  # its exceptions have no common class
            return [self._fault(err, "cannot be loaded by ONNX Runtime")]
        errors: list[Exception] = []
        for sample in self._samples(errors):
            try:
                outputs = session.run([output.name for output in self._config.output], sample.feed)
            except Exception as err:
                if _is_of_memory(err) and not errors:
                    return [self._fault(err, "")]
                errors.append(err)
            else:
                return list(self._of_outputs(outputs))
        return list(self._of_errors(errors))

    def _samples(self, errors: Sequence[Exception]) -> Iterator[Sample]:
        """Yield what to try; once a run failed by a value, values that the graph itself names."""
        for sample in samples(self._config, self._folder):
            self._is_guess = sample.is_guess
            yield sample
        if any(operator_of_value(str(err)) for err in errors) and not self._config.model_warmup:
            self._values = taken_values(self._folder / self._file)
            if self._values.known:
                yield from samples(self._config, self._folder, self._values.known)

    def _of_errors(self, errors: Sequence[Exception]) -> Iterator[Fault]:
        if self._config.model_warmup:
            yield self._fault(errors[0], "fails on its warm-up sample in config.pbtxt")
            return
        operators = [operator_of_value(str(err)) for err in errors]
        keyed = next((operator for operator in operators if operator and operator not in self._values.fixed), "")
        if keyed and (self._is_guess or all(operators)):
            self.notes.append(
                f"{self._file} could be loaded but not tried: its operator {keyed} takes none of the values that were "
                "tried. Write a model_warmup with a real sample into config.pbtxt, on which it is tried."
            )
        elif self._is_guess:
            # Which sizes it takes, only its author knows; Triton will take the same graph.
            self.notes.append(
                f"{self._file} could be loaded but not tried: it took none of the sizes that were tried for the -1 in "
                "config.pbtxt. A model_warmup sample there says which it takes."
            )
        else:
            yield self._fault(errors[0], "fails on an input of the shapes and types in config.pbtxt")

    def _of_outputs(self, outputs: Sequence[Any]) -> Iterator[Fault]:
        for tensor, value in zip(self._config.output, outputs, strict=True):
            told = schema.DataType.Name(tensor.data_type)
            dims = list(graph_dims(tensor))
            if not isinstance(value, np.ndarray):
                yield self._contradiction(tensor.name, told, dims, "a sequence or map, which Triton cannot return", "")
                continue
            found = _NAMES.get(value.dtype, str(value.dtype))
            shape = list(value.shape[1:] if self._config.max_batch_size > 0 else value.shape)
            if found != told or not _fits(shape, dims):
                free = [-1 if dim == -1 else size for dim, size in zip(dims, shape, strict=False)]
                advice = f"write `data_type: {found} dims: {free if len(free) == len(shape) else shape}`"
                yield self._contradiction(tensor.name, told, dims, f"{found} {shape}", advice)
            elif np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
                self.notes.append(
                    f"{self._file} gives values that are no numbers in {quoted(tensor.name)} for random inputs."
                )

    def _contradiction(self, name: str, told: str, dims: list[int], found: str, advice: str) -> Fault:
        advice = advice or "export it with a tensor as output (skl2onnx: `options={'zipmap': False}`)"
        return Fault(
            code=FaultCode.GRAPH,
            file="config.pbtxt",
            version=self._version,
            message=f"config.pbtxt says that output {quoted(name)} is {told} {dims}, but a run of {self._file} gives "
            f"{found}: {advice}.",
        )

    def _fault(self, err: Exception, what: str) -> Fault:
        if _is_of_memory(err):
            message = (
                f"{self._file} needs more memory for one run than a check may take: make the model, or its inputs in "
                "config.pbtxt, smaller."
            )
            return Fault(code=FaultCode.LIMIT, file=self._file, version=self._version, message=message)
        if wanted := _LOCALE.search(str(err)):
            message = (
                f"{self._file} needs the locale {quoted(wanted[1])}, which this machine does not have: install it, or "
                "export the model with the locale C (skl2onnx: `options={TfidfVectorizer: {'locale': 'C'}}`)."
            )
            return Fault(code=FaultCode.SMOKE, file=self._file, version=self._version, message=message)
        text = " ".join(str(err).replace(str(self._folder) + "/", "").split())
        said = quoted(text, _MESSAGE_CHARACTERS)
        return Fault(
            code=FaultCode.SMOKE,
            file=self._file,
            version=self._version,
            message=f"{self._file} {what} ({said}): export it again, and try it with onnxruntime.",
        )


def _options() -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    return options


def _fits(shape: Sequence[int], dims: Sequence[int]) -> bool:
    return len(shape) == len(dims) and all(dim in (-1, size) for dim, size in zip(dims, shape, strict=True))


def _is_of_memory(err: Exception) -> bool:
    return isinstance(err, MemoryError) or "bad_alloc" in str(err) or "Failed to allocate" in str(err)
