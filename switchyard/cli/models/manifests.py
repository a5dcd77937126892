"""Writes the InferenceService of a language model to ``manifests/services/<name>/``, for whoever keeps it there."""

from pathlib import Path

from switchyard.cli.models.errors import ModelError
from switchyard.repository.service import UnservableError, files
from switchyard.repository.verdict import Facts

_SERVICES = Path("manifests", "services")
_LIST = "kustomization.yaml"
_ITEM = "  - "


def folder_of(root: Path, name: str) -> Path:
    """Return where the service's files are to be.

    Raises:
        ModelError: there are files already.
    """
    folder = root / _SERVICES / name
    if folder.exists():
        raise ModelError(f"{_SERVICES / name} is there already, and yours to change: it is not written again")
    return folder


def write_service(root: Path, name: str, facts: Facts) -> Path:
    """Write the files, name their folder in the list of services, and return it, relative to ``root``.

    Raises:
        ModelError: the model needs no service of its own, or the files cannot be written.
    """
    folder = folder_of(root, name)
    try:
        texts = files(name, facts)
        folder.mkdir(parents=True)
        for file, text in texts.items():
            (folder / file).write_text(text)
        listed = root / _SERVICES / _LIST
        listed.write_text(with_resource(listed.read_text(), name))
    except UnservableError as err:
        raise ModelError(f"--write: {err}") from err
    except OSError as err:
        raise ModelError(f"{err.filename or folder} cannot be written: {err.strerror}") from err
    return folder.relative_to(root)


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
