"""What an inspector of one format is given, and what it returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from switchyard.repository.verdict import Facts, Fault, Group


@dataclass(frozen=True, kw_only=True, slots=True)
class Device:
    """What models run on; ``memory`` is the bytes that all models together may take, 0 where that is not known.

    ``compute_capability`` is NVIDIA's, such as (9, 0); None on a CPU.
    """

    kind: Literal["cpu", "cuda"] = "cpu"
    name: str = ""
    memory: int = 0
    compute_capability: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """What a verdict depends on beside the folder.

    ``names`` maps every other name in use to whose it is, such as "InferenceService complexity" or "llm/chat-fast".
    ``models`` are the facts of the other models of the repository, which ensembles and pipelines call.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, Facts] = field(default_factory=dict)
    device: Device = Device()


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspection:
    """What was found without running the model; ``facts`` is None where nothing in the folder can be served."""

    faults: tuple[Fault, ...] = ()
    facts: Facts | None = None


def device_of(group: Group, device: Device) -> Device:
    """Return what models of ``group`` run on where language models have ``device``: vision stays on the CPU."""
    return device if group == "llm" else Device()


class Inspector(Protocol):
    """Reads a folder of one format, by that format's libraries; runs nothing of it and never raises for its content."""

    def __call__(self, folder: Path, surroundings: Surroundings) -> Inspection: ...
