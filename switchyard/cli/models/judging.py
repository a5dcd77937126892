"""Judges a folder as if it were in the repository; no platform needs to run."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import get_args

from switchyard.cli.models.contents import NAME_IT, as_folder, name_of, require_group
from switchyard.cli.models.errors import ModelError
from switchyard.cli.models.folders import FOLDER, Folders
from switchyard.devices.choice import of_environment
from switchyard.devices.probe import probe
from switchyard.repository.folder import list_files
from switchyard.repository.inspection import Surroundings, device_of
from switchyard.repository.judging import Job, Judge, ProcessLimits
from switchyard.repository.names import name_fault
from switchyard.repository.placement.layout import paths_below
from switchyard.repository.placement.strays import misplaced
from switchyard.repository.signature import SignaturePolicy
from switchyard.repository.verdict import Facts, FaultCode, Group, Verdict


def judge_place(folders: Folders, place: Path, name: str) -> Verdict:
    """Judge a folder, or a single ONNX file, which need not be in the repository.

    Raises:
        ModelError: it is neither, or looks like no model.
        DeviceError: the environment names a device that cannot be used.
        SettingsError: it names keys for signatures that cannot be used.
        JudgeError: no verdict could be had, for a reason that is not the folder's.
    """
    with as_folder(place) as folder:
        group = require_group(paths_below(folder), str(place))
        name = name or name_of(str(place.absolute()))
        if place.is_file() and (fault := name_fault(name, {}, NAME_IT)):
            raise ModelError(fault.message)
        verdict = judge(folders, folder, group, name)
    note = _note(folders, place)
    if note and verdict.facts:
        return replace(verdict, facts=replace(verdict.facts, notes=(note, *verdict.facts.notes)))
    return verdict


def _note(folders: Folders, place: Path) -> str:
    """Return what is wrong with the place of a single file, if it lies in the repository as no model can."""
    root, path = folders.root / FOLDER, place.absolute()
    if not path.is_file() or not path.is_relative_to(root):
        return ""
    group, *below = path.relative_to(root).parts
    if not below:
        return misplaced(f"{FOLDER}/{path.name}", path.name, FOLDER)
    if len(below) > 1 or group not in get_args(Group):
        return ""
    return misplaced(f"{FOLDER}/{group}/{path.name}", path.name, FOLDER, "vision" if group == "vision" else "llm")


def judge(folders: Folders, folder: Path, group: Group, name: str) -> Verdict:
    """Judge a folder as ``name`` of the repository.

    Raises:
        DeviceError: the environment names a device that cannot be used.
        SettingsError: it names keys for signatures that cannot be used.
        JudgeError: no verdict could be had, for a reason that is not the folder's.
    """
    return asyncio.run(_judge(folders, folder, group, name))


async def _judge(folders: Folders, folder: Path, group: Group, name: str) -> Verdict:
    device = device_of(group, of_environment(probe(os.environ)).device)
    judge = Judge()
    try:
        names, known = folders.names_beside(group, name), folders.facts_beside(name)
        verdict = await _one(judge, folder, group, name, Surroundings(names=names, models=known, device=device))
        if not any(fault.code is FaultCode.ENSEMBLE for fault in verdict.faults):
            return verdict
        # What it calls may be in the repository and never have been judged, as in a fresh clone.
        known = {**await _unjudged(judge, folders, known, name), **known}
        return await _one(judge, folder, group, name, Surroundings(names=names, models=known, device=device))
    finally:
        await judge.aclose()


async def _unjudged(judge: Judge, folders: Folders, known: Mapping[str, Facts], name: str) -> Mapping[str, Facts]:
    """Return the facts of the vision models that are not ``known``; of one that calls others, once these are."""
    found: dict[str, Facts] = {}
    left = [path for path in folders.models_of("vision") if path.name not in {name, *known}]
    while left:
        around = Surroundings(models={**known, **found})
        verdicts = [await _one(judge, path, "vision", path.name, around, smoke=False) for path in left]
        good = {verdict.name: verdict.facts for verdict in verdicts if verdict.facts is not None}
        if not good:
            break
        found |= good
        left = [path for path in left if path.name not in found]
    return found


async def _one(
    judge: Judge, folder: Path, group: Group, name: str, around: Surroundings, *, smoke: bool = True
) -> Verdict:
    limits = ProcessLimits.of(list_files(folder, group).bytes, group)
    signatures = SignaturePolicy.from_env(os.environ)
    job = Job(
        group=group,
        name=name,
        folder=folder,
        surroundings=around,
        limits=limits,
        smoke=smoke,
        signatures=signatures,
    )
    return (await judge.judge(job)).verdict
