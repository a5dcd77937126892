"""Writes the InferenceService of a language model to ``manifests/services/<name>/``, for whoever keeps it there."""

import shutil
from pathlib import Path

from switchyard.cli.models.errors import ModelError
from switchyard.repository.service import files
from switchyard.repository.verdict import Facts, Group

_SERVICES = Path("manifests", "services")
_LIST = "kustomization.yaml"
_ITEM = "  - "


def require_writable(root: Path, group: Group, name: str) -> None:
    """Check that a service can be written.

    Raises:
        ModelError: the model needs none of its own, or there is one.
    """
    if group == "vision":
        raise ModelError(f"--write: {name} is a vision model, which the service of the vision repository serves")
    if (root / _SERVICES / name).exists():
        raise ModelError(f"{_SERVICES / name} is there already, and yours to change: it is not written again")


def write_service(root: Path, name: str, facts: Facts) -> Path:
    """Write the files, name their folder in the list of services, and return it, relative to ``root``.

    Raises:
        ModelError: the files cannot be written.
        UnservableError: the model needs no service of its own.
    """
    folder, texts = root / _SERVICES / name, files(name, facts)
    try:
        folder.mkdir(parents=True)
        for file, text in texts.items():
            (folder / file).write_text(text)
        listed = root / _SERVICES / _LIST
        listed.write_text(with_resource(listed.read_text(), name))
    except OSError as err:
        raise ModelError(f"{err.filename or folder} cannot be written: {err.strerror}") from err
    return folder.relative_to(root)


def remove_service(root: Path, name: str, facts: Facts | None) -> str:
    """Remove what ``write_service`` wrote, if it is as it was; return what was done as a sentence, empty if nothing.

    Raises:
        ModelError: the files cannot be removed.
    """
    folder, listed = root / _SERVICES / name, root / _SERVICES / _LIST
    if not folder.is_dir():
        return ""
    try:
        if facts is None or facts.kind == "vision" or _texts(folder) != files(name, facts):
            return (
                f"{_SERVICES / name} stays, as it is not what `--write` would write now: delete it, and its line in "
                f"{_SERVICES / _LIST}, if it is to go"
            )
        listed.write_text(without_resource(listed.read_text(), name))  # first: a list names only what is there
        shutil.rmtree(folder)
    except OSError as err:
        raise ModelError(f"{err.filename or folder} cannot be removed: {err.strerror}") from err
    return f"{_SERVICES / name} was removed, too"


def _texts(folder: Path) -> dict[str, str | None]:
    return {
        path.name: path.read_text(errors="replace") if path.is_file() else None for path in sorted(folder.iterdir())
    }


def without_resource(text: str, name: str) -> str:
    """Return a kustomization without ``name`` among its resources; everything else stays as it is."""
    return "".join(line for line in text.splitlines(keepends=True) if line.rstrip() != f"{_ITEM}{name}")


def with_resource(text: str, name: str) -> str:
    """Return a kustomization with ``name`` among its resources, in order; everything else stays as it is."""
    lines = text.splitlines()
    start = lines.index("resources:") + 1 if "resources:" in lines else None
    if start is None:
        return f"{text.rstrip()}\nresources:\n{_ITEM}{name}\n"
    end = start
    while end < len(lines) and lines[end].startswith(_ITEM):
        end += 1
    items = sorted({*lines[start:end], f"{_ITEM}{name}"})
    return "\n".join([*lines[:start], *items, *lines[end:]]) + "\n"
