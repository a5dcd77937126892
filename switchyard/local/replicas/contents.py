"""The contents that a model's folder has had, and which of them the next process loads."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from switchyard.catalog import OLD_SERVED
from switchyard.local.plan import arguments
from switchyard.local.plan.workloads import Command, Service


@dataclass(frozen=True, slots=True)
class Content:
    """One content of a model's folder, and the service as it was planned for that."""

    service: Service
    folder: Path | None

    @property
    def commands(self) -> tuple[Command, ...]:
        """The containers, the public one first, that read this content whatever the model's link says later."""
        commands = (self.service.command, *self.service.sidecars)
        link = self.service.model_dir
        if link is None or self.folder is None or link == self.folder:
            return commands
        paths = {str(link): str(self.folder)}
        return tuple(_pinned(command, paths) for command in commands)


def _pinned(command: Command, paths: Mapping[str, str]) -> Command:
    argv = tuple(arguments.replace_paths(text, paths) for text in command.argv)
    env = {key: arguments.replace_paths(text, paths) for key, text in command.env.items()}
    return replace(command, argv=argv, env=env)


class Contents:
    """Remembers which contents could be loaded.

    A published model is a link to its newest content; one that could not be loaded is not tried again, as long as the
    last one that could be is still there. A folder that is no link has one content, itself.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._failed: dict[Path, str] = {}
        self._loaded: Content | None = None

    def renew(self, service: Service) -> None:
        """Take the service as it was planned for the newest content."""
        self._service = service

    @property
    def next(self) -> Content:
        """The content that the next process loads."""
        newest = self._newest()
        return self._before(newest) or newest if newest.folder in self._failed else newest

    @property
    def notice(self) -> str:
        """Why the newest content is not the one that is served; empty if it is."""
        newest = self._newest()
        if newest.folder is None or newest.folder not in self._failed or self._before(newest) is None:
            return ""
        return f"{OLD_SERVED}: {self._failed[newest.folder]}"

    def loaded(self, content: Content) -> None:
        """Record that a process has loaded ``content`` and passed its warm-up."""
        self._loaded = content
        self.retry(content)

    def failed(self, content: Content, reason: str) -> bool:
        """Record that ``content`` could not be loaded; return whether an earlier one can take its place."""
        if content.folder is None or self._before(content) is None:
            return False
        self._failed[content.folder] = reason
        return True

    def retry(self, content: Content | None = None) -> None:
        """Forget that ``content`` failed, or that any did."""
        if content is None:
            self._failed.clear()
        elif content.folder is not None:
            self._failed.pop(content.folder, None)

    def _newest(self) -> Content:
        link = self._service.model_dir
        return Content(self._service, link.resolve() if link is not None and link.is_symlink() else link)

    def _before(self, newest: Content) -> Content | None:
        """Return the last content that was loaded, if it is another one that is still there."""
        loaded = self._loaded
        if loaded is None or loaded.folder is None or loaded.folder == newest.folder or not loaded.folder.is_dir():
            return None
        return loaded
