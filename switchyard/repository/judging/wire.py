"""What goes to the judging process and comes back, as JSON lines."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from switchyard.repository.folder import Manifest
from switchyard.repository.inspection import Device, Surroundings
from switchyard.repository.judging.confinement import ProcessLimits
from switchyard.repository.signature import UNCHECKED, SignaturePolicy
from switchyard.repository.status import facts_of
from switchyard.repository.verdict import Fault, FaultCode, Group, Verdict

LINE_BYTES = 32 << 20  # the most of one line: 4,096 files with paths of 512 bytes take 3 MiB


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A folder to judge, and what judging it may take; ``inspect_only`` is for one that is not copied yet."""

    group: Group
    name: str
    folder: Path
    surroundings: Surroundings
    limits: ProcessLimits
    smoke: bool = True
    inspect_only: bool = False
    signatures: SignaturePolicy = UNCHECKED

    def dumps(self) -> bytes:
        row = {
            **{name: getattr(self, name) for name in ("group", "name", "smoke", "inspect_only")},
            "folder": str(self.folder),
            "limits": asdict(self.limits),
            "surroundings": asdict(self.surroundings),
            "signatures": {"keys": str(self.signatures.keys or ""), "required": self.signatures.required},
        }
        return json.dumps(row).encode() + b"\n"

    @staticmethod
    def loads(line: bytes) -> "Job":
        row = json.loads(line)
        around = row["surroundings"]
        capability = around["device"]["compute_capability"]
        surroundings = Surroundings(
            names=around["names"],
            models={name: facts_of(facts) for name, facts in around["models"].items()},
            device=Device(**{**around["device"], "compute_capability": tuple(capability) if capability else None}),
        )
        signatures = row["signatures"]
        parts = {
            "folder": Path(row["folder"]),
            "surroundings": surroundings,
            "limits": ProcessLimits(**row["limits"]),
            "signatures": SignaturePolicy(
                keys=Path(signatures["keys"]) if signatures["keys"] else None, required=signatures["required"]
            ),
        }
        return Job(**{**row, **parts})


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """A verdict, and the manifest of what it is about; None where the folder was not read as far as that."""

    verdict: Verdict
    manifest: Manifest | None = None

    def row(self) -> dict[str, Any]:
        return {"verdict": asdict(self.verdict), "manifest": asdict(self.manifest) if self.manifest else None}

    @staticmethod
    def of(row: Mapping[str, Any]) -> "Judged":
        manifest = row["manifest"]
        return Judged(verdict=verdict_of(row["verdict"]), manifest=Manifest(**manifest) if manifest else None)


def verdict_of(row: Mapping[str, Any]) -> Verdict:
    """Read a verdict that ``asdict`` wrote."""
    faults = tuple(Fault(**{**fault, "code": FaultCode(fault["code"])}) for fault in row["faults"])
    return replace(Verdict(**row), faults=faults, facts=facts_of(row["facts"]) if row["facts"] else None)
