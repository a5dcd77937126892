"""Which inspector reads the folders of which group."""

from collections.abc import Mapping
from pathlib import Path

from switchyard.repository.inspection import Inspection, Inspector, Surroundings
from switchyard.repository.verdict import Facts, Fault, FaultCode, Format, Group, Kind, Memory


def _triton(folder: Path, surroundings: Surroundings) -> Inspection:
    versions = sorted((entry.name for entry in folder.iterdir() if entry.name.isdecimal()), key=int)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    python = any((folder / version / "model.py").is_file() for version in versions)
    onnx = [version for version in versions if any((folder / version).glob("*.onnx"))]
    if not python and not onnx:
        message = "There is no model file such as 1/model.onnx: copy it there."
        return Inspection(faults=(Fault(code=FaultCode.INCOMPLETE, message=message),))
    served = tuple(versions if python else onnx)
    form: Format = "python" if python else "onnx"
    return Inspection(facts=Facts(format=form, kind="vision", bytes=size, memory=Memory(weights=size), versions=served))


def _huggingface(folder: Path, surroundings: Surroundings) -> Inspection:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    for name in ("config.json", "model.safetensors"):
        if not (folder / name).is_file():
            message = f"There is no {name}: copy it into the folder."
            return Inspection(faults=(Fault(code=FaultCode.INCOMPLETE, message=message, file=name),))
    kind: Kind = "embedding" if (folder / "modules.json").is_file() else "llm"
    return Inspection(facts=Facts(format="huggingface", kind=kind, bytes=size, memory=Memory(weights=size)))


INSPECTORS: Mapping[Group, Inspector] = {"vision": _triton, "llm": _huggingface}
