"""Judges a folder in Triton's layout by what lies in it; runs nothing of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from switchyard.repository.card import read_card
from switchyard.repository.folder import Listing, list_files
from switchyard.repository.inspection import Inspection, Surroundings
from switchyard.repository.names import quoted
from switchyard.repository.triton.checks.config import config_faults, format_of, instances, read_config
from switchyard.repository.triton.checks.ensemble import call_faults, called_models, ensemble_faults
from switchyard.repository.triton.checks.fields import field_faults
from switchyard.repository.triton.checks.labels import label_faults
from switchyard.repository.triton.checks.parameters import parameter_faults
from switchyard.repository.triton.checks.python_model import DEFAULT_FILE, python_faults
from switchyard.repository.triton.checks.sequences import sequence_faults
from switchyard.repository.triton.checks.tensors import tensor_faults
from switchyard.repository.triton.checks.versions import Versions, find_versions
from switchyard.repository.triton.checks.warmup import warmup_faults
from switchyard.repository.triton.faults import FaultError, as_string
from switchyard.repository.triton.graphs.compare import graph_faults
from switchyard.repository.triton.graphs.completion import complete
from switchyard.repository.triton.graphs.graph import external_faults, read_graph
from switchyard.repository.triton.graphs.runtime import runtime_faults
from switchyard.repository.triton.schema import text_of
from switchyard.repository.triton.tensors import v2_tensors
from switchyard.repository.verdict import Facts, Fault, FaultCode, Format, Memory

_GRAPH = "model.onnx"
_INSTANCE_BYTES = 64 * 1024 * 1024  # a process with Python, numpy and ONNX Runtime has 51 MB before it has a model
_MOST_FAULTS = 20


@dataclass(slots=True)
class _Model:
    """A folder while it is judged; ``config`` is completed by the first graph that has no fault."""

    folder: Path
    listing: Listing
    surroundings: Surroundings
    config: Any
    format: Format
    served: list[str] = field(default_factory=list)
    weights: int = 0
    notes: tuple[str, ...] = ()

    @property
    def sizes(self) -> dict[str, int]:
        return {file.path: file.size for file in self.listing.files}

    def file(self, version: str, default: str) -> str:
        return f"{version}/{self.config.default_model_filename or default}"


def inspect(folder: Path, surroundings: Surroundings) -> Inspection:
    """Judge the folder of one model, which has the model's name."""
    listing = list_files(folder, "vision")
    if listing.faults:
        return Inspection(faults=listing.faults)
    try:
        return _inspect(folder, listing, surroundings)
    except FaultError as err:
        return Inspection(faults=(err.fault,))
    except (MemoryError, RecursionError):
        message = "The graph takes more memory to be read than a check may have: export it with its weights beside it."
        return Inspection(faults=(Fault(code=FaultCode.TOO_LARGE, message=message),))


def _inspect(folder: Path, listing: Listing, surroundings: Surroundings) -> Inspection:
    sizes = {file.path: file.size for file in listing.files}
    config = read_config(folder, sizes)
    model = _Model(folder, listing, surroundings, config, format_of(config, sizes))
    complete_config = model.format != "onnx"
    faults = [
        *field_faults(config),
        *parameter_faults(config, model.format),
        *config_faults(config, folder.name, surroundings.device),
        *tensor_faults(config, complete=complete_config),
        *call_faults(folder.name, config, surroundings.models),
    ]
    if faults:
        return Inspection(faults=tuple(faults[:_MOST_FAULTS]))
    versions = find_versions(folder, config, sizes, may_be_empty=model.format == "ensemble")
    check: Callable[[_Model, str], Iterable[Fault]] = {"onnx": _onnx, "python": _python, "ensemble": _ensemble}[
        model.format
    ]
    faults += _serve(model, versions, check)
    if not model.served:
        return Inspection(faults=tuple(faults[:_MOST_FAULTS]))
    whole = [*tensor_faults(model.config, complete=True), *label_faults(model.config, folder, sizes)]
    whole += [*warmup_faults(model.config, sizes), *sequence_faults(model.config, sizes)]
    if whole:
        return Inspection(faults=tuple(whole[:_MOST_FAULTS]))
    return Inspection(faults=tuple(faults[:_MOST_FAULTS]), facts=_facts(model, config))


def _serve(model: _Model, versions: Versions, check: Callable[[_Model, str], Iterable[Fault]]) -> list[Fault]:
    """Look at versions, the newest first, until as many as the policy serves are without a fault."""
    faults = list(versions.faults)
    for version in versions.candidates:
        if len(model.served) == versions.most:
            break
        try:
            found = list(check(model, version))
        except FaultError as err:
            found = [err.fault]
        faults += found
        if not found:
            model.served.append(version)
    return faults


def _onnx(model: _Model, version: str) -> Iterable[Fault]:
    file, sizes = model.file(version, _GRAPH), model.sizes
    if file not in sizes:
        yield _no_graph(file, version, sizes)
        return
    if (code := f"{version}/{DEFAULT_FILE}") in sizes:
        # A backend that is written in Python, as the one of local mode, may take it for its own.
        message = f"{quoted(code)} is code beside a graph, and Triton might run it instead: remove it."
        yield Fault(code=FaultCode.PICKLE, file=code, version=version, message=message)
        return
    graph = read_graph(model.folder / file, file, version, sizes[file])
    config, notes = complete(model.config, graph)
    faults = [*external_faults(graph, file, version, sizes), *runtime_faults(graph, file, version)]
    faults += graph_faults(config, graph, file, version)
    yield from faults
    if not faults:
        below = file.rpartition("/")[0]
        beside = {data.location for data in graph.external}
        model.weights += graph.bytes + sum(sizes[f"{below}/{location}"] for location in beside)
        model.config = config
        model.notes += notes


def _no_graph(file: str, version: str, sizes: dict[str, int]) -> Fault:
    found = [path for path in sizes if path.startswith(f"{version}/") and path.endswith(".onnx")]
    if found:
        fix = f"rename {quoted(found[0])}, or write `default_model_filename: {as_string(found[0].partition('/')[2])}`"
    else:
        fix = "copy the model there"
    message = f"{quoted(file)} is missing: {fix}."
    return Fault(code=FaultCode.INCOMPLETE, file=file, version=version, message=message)


def _python(model: _Model, version: str) -> Iterable[Fault]:
    faults = list(python_faults(model.folder, model.file(version, DEFAULT_FILE), version, model.sizes))
    if not faults:
        model.weights += sum(size for path, size in model.sizes.items() if path.startswith(f"{version}/"))
    return faults


def _ensemble(model: _Model, version: str) -> Iterable[Fault]:
    return ensemble_faults(model.config, model.surroundings.models)


def _facts(model: _Model, written: Any) -> Facts:
    card = read_card(model.folder)
    config, count = model.config, 0 if model.format == "ensemble" else instances(model.config)
    return Facts(
        format=model.format,
        kind="vision",
        bytes=model.listing.bytes,
        memory=Memory(weights=model.weights * count, overhead=_INSTANCE_BYTES * count),
        versions=tuple(sorted(model.served, key=int)),
        inputs=v2_tensors(config.input, config.max_batch_size),
        outputs=v2_tensors(config.output, config.max_batch_size),
        steps=called_models(config),
        max_batch_size=config.max_batch_size,
        config=text_of(config) if config != written else "",
        license=card.license,
        description=card.description,
        notes=(*model.notes, card.note) if card.note else model.notes,
    )
