"""Which contents of models an engine could load, and which not: ``served.json``, written by who runs engines.

It outlives its writer, so that what served last serves again after a restart, and whoever publishes keeps its files.
"""

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from switchyard.repository.status import facts_of
from switchyard.repository.verdict import Facts

SERVED = "served.json"
OBJECTS = ".objects"  # below which contents lie, as <group>/<name>/<digest>

_DEPTH = 4

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """The content that a service loaded last, None if none, and those that it could not load, each with the reason."""

    folder: Path | None = None
    failed: Mapping[Path, str] = field(default_factory=dict)


class ServedFile:
    """``served.json`` below the root of what is published, by service, with relative paths; one process writes it."""

    def __init__(self, published: Path) -> None:
        self._root = published.resolve()
        self._path = self._root / SERVED

    def of(self, service: str) -> Served:
        """Return what is known of a service's contents that are still there."""
        return self._all().get(service, Served())

    def write(self, service: str, served: Served) -> None:
        """Remember what a service loaded, and forget what is gone."""
        self._replace({**self._all(), service: served})

    def forget(self, service: str) -> None:
        """Forget what a service loaded."""
        every = self._all()
        if every.pop(service, None):
            self._replace(every)

    def facts(self, service: str) -> Facts | None:
        """Return what was found in the content that a service loaded last; None if it is gone."""
        folder = self.of(service).folder
        if folder is None:
            return None
        try:
            return facts_of(json.loads(folder.with_name(f"{folder.name}.json").read_text())["facts"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def digests(self, objects: Path) -> set[str]:
        """Return the names of the folders in ``objects`` that a service loaded last."""
        return {folder.name for folder in self.folders().values() if folder.parent == objects.resolve()}

    def folders(self) -> dict[str, Path]:
        """Return the folder that each service loaded last."""
        return {service: served.folder for service, served in self._all().items() if served.folder is not None}

    def _all(self) -> dict[str, Served]:
        try:
            rows = json.loads(self._path.read_text())
            return {str(service): self._served(row) for service, row in rows.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
            logger.warning("what engines could load is not known", extra={"file": SERVED, "reason": repr(err)})
            return {}

    def _served(self, row: Mapping[str, Any]) -> Served:
        return Served(
            folder=self._content(row["folder"]),
            failed={path: str(why) for text, why in row["failed"].items() if (path := self._content(text))},
        )

    def _content(self, path: str) -> Path | None:
        """Return the folder of a content, None if it is gone or none."""
        parts, folder = Path(path).parts, self._root / path
        if len(parts) != _DEPTH or parts[0] != OBJECTS or ".." in parts:
            return None
        return folder if folder.is_dir() and not folder.is_symlink() else None

    def _replace(self, every: Mapping[str, Served]) -> None:
        rows = {
            service: {
                "folder": str(served.folder.relative_to(self._root)) if served.folder else "",
                "failed": {str(path.relative_to(self._root)): reason for path, reason in served.failed.items()},
            }
            for service, served in every.items()
        }
        staged = self._path.with_name(f".{SERVED}.new")
        staged.write_text(json.dumps(rows, indent=1))
        os.replace(staged, self._path)
