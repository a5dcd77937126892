"""The folders of the repository, as far as this container can read them."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from switchyard.rpc.v2 import name_fault

_BACKEND = re.compile(r'^\s*backend\s*:\s*"python"', re.MULTILINE)
_OWN_FILES = re.compile(r"^\s*(?:version_policy|default_model_filename)\b", re.MULTILINE)
_CONFIG = "config.pbtxt"
_PATH = re.compile(r"(?<![\w.:/-])/(?!v[12]/)[^\s'\"`,;:()\[\]<>]+")  # of a machine, not of a URL


class ModelFolders:
    """The models below ``root``; an empty ``root``, or one that is not mounted here, has none."""

    def __init__(self, root: str) -> None:
        self._root = Path(root) if root else None

    def versions(self, name: str) -> list[str]:
        """Return the versions of a model, the oldest first."""
        folder = self._folder(name)
        if folder is None:
            return []
        found = [path.name for path in folder.iterdir() if path.name.isdecimal() and path.is_dir()]
        return sorted(found, key=int)

    def links(self) -> Mapping[str, str]:
        """Return where each link in the root leads, by its name; whoever publishes a model there replaces its link.

        Raises:
            OSError: the root cannot be read.
        """
        if self._root is None:
            return {}
        with os.scandir(self._root) as entries:
            return {entry.name: os.readlink(entry.path) for entry in entries if entry.is_symlink()}

    def link(self, name: str) -> str:
        """Return where the link of a model leads, empty if its folder is none."""
        folder = self._folder(name)
        return os.readlink(folder) if folder is not None and folder.is_symlink() else ""

    def exists(self, name: str) -> bool:
        """Return whether the model has a folder."""
        return self._folder(name) is not None

    def memory(self, name: str) -> int:
        """Return the bytes that a model needs: what was found when it was judged, or else the size of its files."""
        folder = self._folder(name)
        if folder is None:
            return 0
        content = folder.resolve()
        try:
            needed = json.loads(content.with_name(f"{content.name}.json").read_text())["facts"]["memory"]
            return sum(int(size) for size in needed.values())
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return sum(path.stat().st_size for path in content.rglob("*") if path.is_file())

    def fault(self, name: str) -> str:
        """Return why a model's folder cannot be loaded yet, empty if nothing is known to be missing.

        Triton says of these folders, which may still be being copied, no more than that it failed to poll them; and a
        model in Python without its file is being loaded for ever (Triton 2.51: its process ends before it answers).
        """
        folder = self._folder(name)
        if fault := name_fault(name):
            return fault
        if folder is None:
            return ""
        try:
            config = (folder / _CONFIG).read_text(errors="replace")
        except OSError:
            return f"its folder has no readable {_CONFIG}"
        versions = self.versions(name)
        if not versions:
            return "its folder has no version; put the model's file into a folder called 1"
        python = _BACKEND.search(config) and not _OWN_FILES.search(config)
        if python and not (folder / versions[-1] / "model.py").is_file():
            return f"its folder has no {versions[-1]}/model.py"
        return ""

    def without_paths(self, name: str, reason: str) -> str:
        """Return why a model cannot be loaded, with paths below its folder, and of all others the last name."""
        folder = self._folder(name)
        for place in () if folder is None else (folder, folder.resolve()):
            reason = reason.replace(f"{place}/", "").replace(str(place), "the model's folder")
        return _PATH.sub(lambda found: _last_of(found[0]), reason)

    def _folder(self, name: str) -> Path | None:
        if self._root is None or "/" in name or name in ("", ".", ".."):
            return None
        folder = self._root / name
        return folder if folder.is_dir() else None


def _last_of(path: str) -> str:
    *_, parent, name = ["", *path.split("/")]
    return f"{parent}/{name}" if parent.isdecimal() else name or parent
