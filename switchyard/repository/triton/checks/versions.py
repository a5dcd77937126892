"""Version folders, and which of them the policy serves."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from switchyard.repository.names import quoted
from switchyard.repository.placement.layout import group_of, part_of
from switchyard.repository.triton.faults import FaultError, names_of
from switchyard.repository.triton.schema import CONFIG
from switchyard.repository.verdict import Fault, FaultCode

MOST_VERSIONS = 32  # that are looked at, the newest; each that is served has its weights in memory
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")  # Triton reads them as 64 bits
_LIKE_A_NUMBER = re.compile(r"v?[0-9]+([._-][0-9]+)*", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Versions:
    """``candidates`` are the versions that may be served, the newest first, of which ``most`` are."""

    candidates: tuple[str, ...]
    most: int
    faults: tuple[Fault, ...] = ()


def find_versions(folder: Path, config: Any, sizes: Mapping[str, int], *, may_be_empty: bool) -> Versions:
    """Return the versions of a folder; an ensemble's are empty folders, and may be missing.

    Raises:
        FaultError: there is none.
    """
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False))
    found = sorted((name for name in names if _NUMBER.fullmatch(name)), key=int, reverse=True)
    odd = [name for name in names if name not in found and _LIKE_A_NUMBER.fullmatch(name)]
    if not found and may_be_empty:
        found = ["1"]
    if not found:
        raise FaultError(_no_version(sizes, odd))
    faults = tuple(_odd(name) for name in odd)
    policy = config.version_policy
    match policy.WhichOneof("policy_choice"):
        case "all":
            return Versions(candidates=tuple(found[:MOST_VERSIONS]), most=MOST_VERSIONS, faults=faults)
        case "specific":
            return _specific(policy.specific.versions, found, faults)
        case "latest" if policy.latest.num_versions == 0:
            message = f"{CONFIG} serves the latest 0 versions: write `num_versions: 1`."
            raise FaultError(Fault(code=FaultCode.VERSION, file=CONFIG, message=message))
        case latest:
            most = policy.latest.num_versions if latest else 1
            return Versions(candidates=tuple(found[:MOST_VERSIONS]), most=most, faults=faults)


def _specific(wanted: Sequence[int], found: Sequence[str], faults: tuple[Fault, ...]) -> Versions:
    named = [str(number) for number in sorted(set(wanted), reverse=True)][:MOST_VERSIONS]
    missing = [number for number in named if number not in found]
    faults = (*faults, *(_missing(number, found) for number in missing))
    if not named:
        message = f"{CONFIG} serves specific versions and names none: write `versions: [{found[0]}]`."
        raise FaultError(Fault(code=FaultCode.VERSION, file=CONFIG, message=message))
    served = tuple(number for number in named if number in found)
    return Versions(candidates=served, most=MOST_VERSIONS, faults=faults)


def _missing(number: str, found: Sequence[str]) -> Fault:
    return Fault(
        code=FaultCode.VERSION,
        file=CONFIG,
        version=number,
        message=f"{CONFIG} serves the version {number}, which has no folder (there are {names_of(found)}): copy "
        f"{number}/, or take it out of version_policy.",
    )


def _odd(name: str) -> Fault:
    return Fault(
        code=FaultCode.VERSION,
        file=name,
        version=name,
        message=f"The folder {quoted(name)} is no version to Triton, which are whole numbers without leading zeros: "
        f"rename it to {_number_in(name)!r}.",
    )


def _no_version(sizes: Mapping[str, int], odd: Sequence[str]) -> Fault:
    if odd:
        return _odd(odd[0])
    model = next((path for path in sizes if "/" not in path and path.endswith((".onnx", "model.py"))), "")
    if model:
        to = "model.py" if model.endswith(".py") else "model.onnx"
        return Fault(
            code=FaultCode.VERSION,
            file=model,
            message=f"{quoted(model)} lies in the model's folder, and versions have folders: move it to 1/{to}.",
        )
    return _elsewhere(sizes) or Fault(
        code=FaultCode.INCOMPLETE,
        message="The folder has no version: put the model's file into a folder called 1, such as 1/model.onnx.",
    )


def _elsewhere(sizes: Mapping[str, int]) -> Fault | None:
    """Say where the model is that has no version here: packed, a folder deeper, or of the other group."""
    if archive := next((path for path in sizes if part_of(path) == "archive"), ""):
        message = f"{quoted(archive)} is an archive, which is not unpacked here: unpack it into the model's folder."
        return Fault(code=FaultCode.MISPLACED, file=archive, message=message)
    inner = sorted({path.partition("/")[0] for path in sizes})
    below = [path.partition("/")[2] for path in sizes]
    if len(inner) == 1 and group_of(below) == "vision":
        message = f"The model lies in {quoted(inner[0])}, one folder too deep: move its files up."
        return Fault(code=FaultCode.MISPLACED, message=message)
    if group_of([*sizes]) == "llm":
        message = "The folder has the files of a language model, such as config.json: move it from vision/ to llm/."
        return Fault(code=FaultCode.MISPLACED, file="config.json", message=message)
    return None


def _number_in(name: str) -> str:
    digits = re.search(r"[0-9]+", name)
    number = digits[0].lstrip("0")[:18] if digits else ""
    return number or "1"
