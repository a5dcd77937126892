"""What the model repository knows of a model, as the catalog says it."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from switchyard.catalog.models import Card, Model, Phase, State
from switchyard.repository.names import name_fault
from switchyard.repository.status import ModelStatus, said_of_away, steps_away
from switchyard.repository.verdict import FaultCode

OLD_SERVED = "the newest content of its folder is not served"  # and an earlier one is


def with_repository(
    model: Model, status: ModelStatus, beside: Mapping[str, ModelStatus] = MappingProxyType({})
) -> Model:
    """Return ``model``, which has the state of the process that serves it, with what its folder's ``status`` adds.

    A folder of which nothing is published has failed or is pending, whatever its process does. One of which an earlier
    content is published is served, with a notice that says why the newest is not. A folder that has another model's
    name is listed as ``<group>/<name>``, so that nobody takes it for the other one. One that calls models has failed
    while one of these is not published; ``beside`` has the statuses of the models that are served with it, by name.
    """
    facts = status.facts
    if facts is None:
        phase: Phase = "failed" if status.phase == "failed" else "pending"
        name = f"{status.group}/{status.name}" if model.name == status.name and _is_taken(status) else model.name
        return replace(model, name=name, state=State(phase=phase, reason=status.sentence), card=None)
    if away := steps_away(facts, beside):
        model = replace(model, state=State(phase="failed", reason=said_of_away(away)))
    newest = f"{OLD_SERVED}: {status.sentence}"
    return replace(
        model,
        kind=facts.kind,
        # A service may give its model less than the model could take.
        context_length=facts.context_length if model.context_length is None else model.context_length,
        accepts_images=facts.accepts_images,
        versions=facts.versions or model.versions,
        # Of the process that serves and of its folder: neither says alone what it has loaded.
        revision="-".join(filter(None, (model.revision, status.digest[:16]))),
        notice=newest if status.phase == "failed" else status.reason if status.phase == "published" else "",
        card=card(status),
    )


def _is_taken(status: ModelStatus) -> bool:
    return status.code is FaultCode.NAME and name_fault(status.name, {}) is None


def card(status: ModelStatus) -> Card | None:
    """Return what is published of a folder, for people; None where nothing is."""
    facts = status.facts
    if facts is None:
        return None
    return Card(
        format=facts.format,
        bytes=facts.bytes,
        license=facts.license,
        description=facts.description,
        architecture=facts.architecture,
        parameters=facts.parameters,
        dtype=facts.dtype,
        quantization=facts.quantization,
        source=status.source,
        revision=status.revision,
        signed_by=facts.signed_by,
    )
