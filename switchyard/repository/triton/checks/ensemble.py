"""Ensembles, and the models that a model in Python calls: whether each is there, and takes what it is given."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from switchyard.repository.names import quoted
from switchyard.repository.triton.faults import names_of, nearest
from switchyard.repository.triton.schema import CONFIG
from switchyard.repository.triton.tensors import fit, v2_tensors
from switchyard.repository.verdict import Facts, Fault, FaultCode, Tensor

STEPS = "steps"  # the parameter with the models that a model in Python calls, separated by blanks


def called_models(config: Any) -> tuple[str, ...]:
    """Return the names of the models that a model calls, each once."""
    steps = config.parameters[STEPS].string_value.split() if STEPS in config.parameters else []
    return tuple(dict.fromkeys((*steps, *(step.model_name for step in config.ensemble_scheduling.step))))


def call_faults(name: str, config: Any, models: Mapping[str, Facts]) -> Iterator[Fault]:
    """Say which of the models that ``name`` calls are missing, or call it in turn."""
    for called in called_models(config):
        if called == name:
            yield _fault(f"{CONFIG} makes {quoted(name)} call itself: take it out of the steps.")
        elif called not in models:
            like = nearest(called, tuple(models))
            fix = f"write {quoted(like)}" if like else "copy its folder too"
            yield _fault(f"{CONFIG} calls the model {quoted(called)}, which is not in the repository or failed: {fix}.")
        elif through := _way_back(name, called, models):
            yield _fault(
                f"{CONFIG} makes a circle: {quoted(name)} calls {names_of(through)}, which calls {quoted(name)}: take "
                "one of them out of the steps."
            )


def _way_back(name: str, called: str, models: Mapping[str, Facts]) -> tuple[str, ...]:
    """Return the models from ``called`` to the one that calls ``name``, none if there is no such way."""
    ways: list[tuple[str, ...]] = [(called,)]
    seen = {called}
    for way in ways:
        steps = models[way[-1]].steps if way[-1] in models else ()
        if name in steps:
            return way
        for step in steps:
            if step not in seen:
                seen.add(step)
                ways.append((*way, step))
    return ()


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a tensor of an ensemble comes from, and the shapes that it may have for who takes it."""

    tensor: Tensor
    shapes: tuple[tuple[int, ...], ...]
    origin: str


def _shapes(tensor: Tensor, facts: Facts, ensemble: Any) -> tuple[tuple[int, ...], ...]:
    """Return the shapes that a step's tensor has in the ensemble.

    Triton gives a step that takes batches a batch of one row, if the ensemble itself has none (seen in 2.51).
    """
    one_row = facts.max_batch_size > 0 and ensemble.max_batch_size == 0
    return (tensor.shape, tensor.shape[1:]) if one_row else (tensor.shape,)


def ensemble_faults(config: Any, models: Mapping[str, Facts]) -> Iterator[Fault]:
    """Say where the steps of an ensemble do not fit together; missing models are left to ``call_faults``."""
    steps = config.ensemble_scheduling.step
    if not steps:
        yield _fault(f"{CONFIG} is of an ensemble without a step: add ensemble_scheduling with one for each model.")
        return
    inputs = v2_tensors(config.input, config.max_batch_size)
    sources = {tensor.name: _Source(tensor, (tensor.shape,), f"the input {quoted(tensor.name)}") for tensor in inputs}
    for number, step in enumerate(steps, 1):
        facts = models.get(step.model_name)
        if facts is None:
            return
        what = f"step {number} ({quoted(step.model_name)})"
        yield from map(_fault, _step(config, step, what, facts))
        yield from map(_fault, _outputs(config, step, what, facts, sources))
    for number, step in enumerate(steps, 1):
        what = f"step {number} ({quoted(step.model_name)})"
        yield from map(_fault, _inputs(config, step, what, models[step.model_name], sources))
    yield from map(_fault, _results(config, sources))
    if waiting := _waiting(config, sources):
        yield _fault(f"{CONFIG} makes a circle: {names_of(waiting)} wait for each other's outputs: take one out.")


def _step(config: Any, step: Any, what: str, facts: Facts) -> Iterator[str]:
    if step.model_version not in (-1, 0) and str(step.model_version) not in facts.versions:
        yield (
            f"{CONFIG} calls version {step.model_version} in {what}, which has {names_of(facts.versions)}: write "
            "`model_version: -1`, which is the latest."
        )
    if config.max_batch_size > facts.max_batch_size:
        yield (
            f"{CONFIG} says `max_batch_size: {config.max_batch_size}`, but {what} takes {facts.max_batch_size}: write "
            f"{facts.max_batch_size}."
        )


def _outputs(config: Any, step: Any, what: str, facts: Facts, sources: dict[str, _Source]) -> Iterator[str]:
    known = {tensor.name: tensor for tensor in facts.outputs}
    if not step.output_map:
        yield f"{CONFIG} takes nothing from {what}: add an output_map."
    for name, tensor in step.output_map.items():
        if name not in known:
            yield f"{CONFIG} takes {quoted(name)} from {what}, which gives {names_of(known)}: correct the output_map."
        elif tensor in sources:
            yield (
                f"{CONFIG} fills {quoted(tensor)} twice, by {sources[tensor].origin} and by {what}: write another name "
                "in one output_map."
            )
        else:
            shapes = _shapes(known[name], facts, config)
            sources[tensor] = _Source(known[name], shapes, f"{quoted(name)} of {what}")


def _inputs(config: Any, step: Any, what: str, facts: Facts, sources: Mapping[str, _Source]) -> Iterator[str]:
    known = {tensor.name: tensor for tensor in facts.inputs}
    unknown = [name for name in step.input_map if name not in known]
    missing = [name for name, tensor in known.items() if name not in step.input_map and not tensor.optional]
    for name in unknown:
        yield (
            f"{CONFIG} has the key {quoted(name)} in the input_map of {what}, which has no such input (it has "
            f"{names_of(known)}): correct the key."
        )
    if missing and not unknown:
        yield f"{CONFIG} does not give {names_of(missing)} to {what}: add it to the input_map."
    for name, tensor in step.input_map.items():
        if name not in known:
            continue
        if tensor not in sources:
            yield (
                f"{CONFIG} gives {quoted(tensor)} to {what}, which is neither an input of the ensemble nor in an "
                f"output_map (there are {names_of(sources)}): correct the name."
            )
        elif message := _mismatch(sources[tensor], known[name], _shapes(known[name], facts, config)):
            yield f"{CONFIG}: {what} takes {quoted(name)} as {message}."


def _results(config: Any, sources: Mapping[str, _Source]) -> Iterator[str]:
    for wanted in v2_tensors(config.output, config.max_batch_size):
        if wanted.name not in sources:
            yield f"{CONFIG} has the output {quoted(wanted.name)}, which is in no output_map: add it to one of a step."
        elif message := _mismatch(sources[wanted.name], wanted, (wanted.shape,)):
            yield f"{CONFIG} has the output {quoted(wanted.name)} as {message}."


def _mismatch(source: _Source, wanted: Tensor, shapes: Sequence[tuple[int, ...]]) -> str:
    given = source.tensor
    if given.datatype == wanted.datatype and any(fit(*pair) for pair in product(shapes, source.shapes)):
        return ""
    return (
        f"{wanted.datatype} {list(wanted.shape)}, but {source.origin} is {given.datatype} {list(given.shape)}: make "
        "them the same (a batch is the first dimension)"
    )


def _waiting(config: Any, sources: Mapping[str, _Source]) -> list[str]:
    """Return the models of the steps that never get all their inputs, though each of these has a source."""
    ready = {tensor.name for tensor in config.input}
    waiting = [step for step in config.ensemble_scheduling.step if set(step.input_map.values()) <= sources.keys()]
    while runs := [step for step in waiting if set(step.input_map.values()) <= ready]:
        ready |= {tensor for step in runs for tensor in step.output_map.values()}
        waiting = [step for step in waiting if step not in runs]
    return [step.model_name for step in waiting]


def _fault(message: str) -> Fault:
    return Fault(code=FaultCode.ENSEMBLE, file=CONFIG, message=message)
