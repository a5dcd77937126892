"""The files that containers mount from ConfigMaps and Secrets: written before a start, replaced by edits."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from switchyard.local.plan.workloads import Command


class Mounts:
    """Writes the files of containers, as the overlay that was rendered last has them."""

    def __init__(self, commands: Iterable[Command]) -> None:
        self._files: Mapping[str, Mapping[Path, str]] = {command.name: command.files for command in commands}

    def prepare(self, command: Command) -> None:
        """Make the folders and files of a container that is about to start."""
        for folder in command.folders:
            folder.mkdir(parents=True, exist_ok=True)
        for path, text in self._files.get(command.name, command.files).items():
            _replace(path, text)

    def update(self, commands: Iterable[Command]) -> list[str]:
        """Take the files of the same containers from ``commands``; return whose have changed.

        As the kubelet does it: a reader sees an old file or its successor, and those of keys that are gone disappear.
        """
        before, self._files = self._files, {command.name: command.files for command in commands}
        edited = [name for name, files in self._files.items() if files != before.get(name)]
        kept = {path for files in self._files.values() for path in files}
        for name in edited:
            for path, text in self._files[name].items():
                if path.parent.is_dir():  # else no container that mounts it has started yet
                    _replace(path, text)
            for path in before.get(name, {}).keys() - kept:
                path.unlink(missing_ok=True)
        return edited


def _replace(path: Path, text: str) -> None:
    staged = path.with_name(f".{path.name}.new")
    # For this user alone: a Secret's files may be private keys.
    with open(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(staged, path)
