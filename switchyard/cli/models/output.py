"""Writes what is known of models, for people."""

from collections.abc import Iterator, Mapping, Sequence

from switchyard.cli.models.folders import Listed
from switchyard.repository.status import ModelStatus
from switchyard.repository.verdict import Facts, Fault, Memory, Tensor, Verdict

Lines = Iterator[tuple[str, str]]
HEADER: Sequence[str] = ("NAME", "GROUP", "STATE", "SIZE", "VERSIONS", "LICENSE", "REASON")
CARD_HEADER: Sequence[str] = ("NAME", "KIND", "STATE", "LICENSE", "REASON")


def verdict_lines(verdict: Verdict) -> list[str]:
    """Return each fault with its file, or the facts."""
    faults = fault_lines(verdict)
    if verdict.facts is None:
        return faults
    served = "it would be served" if not faults else "the rest would be served"
    return [
        *faults,
        f"{verdict.name}: {served}",
        *_aligned(_facts(verdict.facts)),
        *_aligned(_seconds(verdict.seconds)),
    ]


def fault_lines(verdict: Verdict) -> list[str]:
    """Return each fault with its file."""
    return [f"{verdict.name}: {_fault(fault)}" for fault in verdict.faults]


def model_lines(model: Listed) -> list[str]:
    """Return all that is known of one model."""
    status = model.status
    if status is None:
        return [f"{model.name}: {model.state}", *_aligned(iter([("group", model.group), ("reason", model.reason)]))]
    return [
        f"{status.name}: {model.state}",
        *_aligned(_about(status, model.reason)),
        *_aligned(_facts(status.facts, model.versions) if status.facts else iter(())),
        *_aligned(_seconds(status.seconds or {})),
    ]


def model_row(model: Listed) -> Sequence[str]:
    """Return the cells of one model in a list."""
    status = model.status
    if status is None:
        return (model.name, model.group, model.state, "-", "-", "-", model.reason)
    facts = status.facts
    known = (
        (size(facts.bytes), _versions(facts, model.versions) or "-", facts.license or "-") if facts else ("-", "-", "-")
    )
    return (status.name, status.group, model.state, *known, model.reason)


def card_row(card: Mapping[str, object]) -> Sequence[str]:
    """Return the cells of one model of a gateway, which tells less in a list."""
    known = (str(card[name]) for name in ("id", "kind", "state"))
    return (*known, str(card.get("license", "-")), str(card.get("reason", "")))


def card_lines(card: Mapping[str, object]) -> list[str]:
    """Return all that a gateway tells of one model."""
    left_out = ("id", "object", "created", "owned_by", "ready", "state")
    shown = [name for name in card if name not in left_out]
    lines = [(name.removesuffix("_bytes").replace("_", " "), _value(name, card[name])) for name in shown]
    return [f"{card['id']}: {card['state']}", *_aligned(iter(lines), width=16)]


def _value(name: str, value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return size(value) if name == "size_bytes" and isinstance(value, int) else str(value)


def size(count: int) -> str:
    """Return a number of bytes as people write it."""
    for unit, divisor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= divisor:
            return f"{count / divisor:.1f} {unit}"
    return f"{count} B"


def _fault(fault: Fault) -> str:
    # Most sentences name the file themselves.
    return fault.message if fault.file in fault.message else f"{fault.file}: {fault.message}"


def _about(status: ModelStatus, reason: str) -> Lines:
    yield "group", status.group
    if reason:
        yield "reason", reason
    if status.file:
        yield "file", status.file
    if status.source:
        yield "source", status.source
    if status.revision:
        yield "revision", status.revision
    if status.since:
        yield "since", status.since


def _facts(facts: Facts, there: Sequence[str] = ()) -> Lines:
    yield "format", ", ".join(filter(None, (facts.format, facts.architecture, facts.dtype, facts.quantization)))
    if facts.versions:
        yield "versions", _versions(facts, there)
    yield from (("input", _tensor(tensor)) for tensor in facts.inputs)
    yield from (("output", _tensor(tensor)) for tensor in facts.outputs)
    if facts.steps:
        yield "calls", ", ".join(facts.steps)
    if facts.parameters:
        yield "parameters", f"{facts.parameters:,}"
    if facts.context_length is not None:
        yield "context", f"{facts.context_length:,} tokens"
    yield "size", size(facts.bytes)
    yield "memory", _memory(facts.memory)
    yield "license", facts.license or "not said"
    if facts.description:
        yield "description", facts.description
    if facts.signed_by:
        yield "signed by", facts.signed_by
    yield from (("note", note) for note in facts.notes)
    if facts.config:
        yield "config", "completed from the graph:"
        yield from (("", line) for line in facts.config.splitlines())


def _versions(facts: Facts, there: Sequence[str]) -> str:
    """Return the versions that are served, of those that are there if these are more."""
    served = ", ".join(facts.versions)
    return f"{served} of {', '.join(there)}" if served and set(there) - set(facts.versions) else served


def _tensor(tensor: Tensor) -> str:
    return f"{tensor.name} {tensor.datatype} [{', '.join(map(str, tensor.shape))}]"


def _memory(memory: Memory) -> str:
    parts = {"weights": memory.weights, "KV cache": memory.kv_cache, "overhead": memory.overhead}
    named = ", ".join(f"{name} {size(part)}" for name, part in parts.items() if part)
    return f"{size(memory.total)} ({named})" if named else size(memory.total)


def _seconds(seconds: Mapping[str, float]) -> Lines:
    if seconds:
        yield "seconds", ", ".join(f"{phase} {count:.2f}" for phase, count in seconds.items())


def _aligned(lines: Lines, *, width: int = 12) -> list[str]:
    return [f"  {name:{width}}{value}".rstrip() for name, value in lines]
