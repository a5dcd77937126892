"""The stages of judging one folder, in the process that may do little."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace

from switchyard.repository.folder import FolderError, hash_files, list_files
from switchyard.repository.inspection import Inspection
from switchyard.repository.judging.confinement import limit_memory
from switchyard.repository.judging.inspectors import INSPECTORS
from switchyard.repository.judging.smoke import smoke
from switchyard.repository.judging.wire import Job, Judged
from switchyard.repository.names import name_fault
from switchyard.repository.signature import check as check_signature
from switchyard.repository.verdict import Facts, Fault, FaultCode, Verdict

FACTS_BYTES = 64 * 1024  # as JSON: a model with a hundred inputs has a quarter; all of them are in each status.json

OnStage = Callable[[str, float | None], None]  # a stage's name, and the seconds that it may take where that is told


class _Clock:
    """Takes the time of each stage, and tells which one it is."""

    def __init__(self, on_stage: OnStage) -> None:
        self._on_stage = on_stage
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, most: float | None = None) -> Iterator[None]:
        self._on_stage(name, most)
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = round(time.monotonic() - started, 3)


def judge(job: Job, on_stage: OnStage) -> Judged:
    """Judge a folder: what may be in it, its format, its signature, its content's digest, and one run.

    The files are listed first and hashed after they were inspected and their signature was verified; hashing fails if
    one was touched since.
    """
    clock = _Clock(on_stage)

    def verdict(*faults: Fault) -> Judged:
        return Judged(verdict=Verdict(group=job.group, name=job.name, digest="", faults=faults, seconds=clock.seconds))

    if fault := name_fault(job.name, job.surroundings.names):
        return verdict(fault)
    with clock.stage("list"):
        listing = list_files(job.folder, job.group)
    if listing.faults:
        return verdict(*listing.faults)
    with clock.stage("inspect", job.limits.inspect_seconds):
        inspection = INSPECTORS[job.group](job.folder, job.surroundings)
    if inspection.facts is None:
        return verdict(*inspection.faults)
    if job.inspect_only:
        found = verdict(*inspection.faults)
        return Judged(verdict=replace(found.verdict, facts=inspection.facts))
    with clock.stage("signature"):
        signer, fault = check_signature(job.folder, job.group, job.signatures)
    if fault:
        return verdict(fault)
    facts = replace(inspection.facts, signed_by=signer.name, signing_key=signer.fingerprint)
    if fault := _too_much(facts):
        return verdict(fault)
    inspection = replace(inspection, facts=facts)
    try:
        with clock.stage("hash"):
            manifest = hash_files(job.folder, listing)
    except FolderError as err:
        return verdict(err.fault)
    if job.smoke:
        inspection = _after(inspection, _run(job, facts, clock))
    whole = Verdict(
        group=job.group,
        name=job.name,
        digest=manifest.digest,
        faults=inspection.faults,
        facts=inspection.facts,
        seconds=clock.seconds,
    )
    return Judged(verdict=whole, manifest=manifest)


def _too_much(facts: Facts) -> Fault | None:
    size = len(json.dumps(asdict(facts)))
    if size <= FACTS_BYTES:
        return None
    message = (
        f"What there is to say of the model takes {size} bytes, of {FACTS_BYTES} that it may: give it fewer inputs and "
        "outputs, or shorter names."
    )
    return Fault(code=FaultCode.TOO_LARGE, message=message)


def _run(job: Job, facts: Facts, clock: _Clock) -> Inspection:
    # Limited by the bytes that the model reads: what else lies in its folder is no reason to let it run longer.
    memory, seconds = job.limits.of_run(min(facts.memory.weights, facts.bytes))
    limit_memory(memory)
    # Each version in Python has its own bound: one that takes too long leaves the others.
    with clock.stage("smoke", None if facts.format == "python" else seconds):
        return smoke(job.folder, facts, job.limits.code_seconds)


def _after(inspection: Inspection, run: Inspection) -> Inspection:
    """Add what a run found: versions that failed are not served."""
    return replace(run, faults=(*inspection.faults, *run.faults))
