"""Which inspector reads the folders of which group."""

from collections.abc import Mapping
from pathlib import Path

from switchyard.repository.huggingface import inspector as huggingface
from switchyard.repository.inspection import Inspection, Inspector, Surroundings
from switchyard.repository.verdict import Facts, Fault, FaultCode, Format, Group, Memory


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


INSPECTORS: Mapping[Group, Inspector] = {"vision": _triton, "llm": huggingface.inspect}
