"""The contents that a model's folder has had, and which of them the next process loads."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from switchyard.catalog import OLD_SERVED, revision_of
from switchyard.local.plan import arguments
from switchyard.local.plan.workloads import Command, Service
from switchyard.repository.served import Served, ServedFile

logger = logging.getLogger(__name__)


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

    @property
    def revision(self) -> str:
        """A name of the content and of the commands that read it."""
        commands = [(command.argv, dict(command.env)) for command in self.commands]
        return revision_of(commands, str(self.folder or ""))


def _pinned(command: Command, paths: Mapping[str, str]) -> Command:
    argv = tuple(arguments.replace_paths(text, paths) for text in command.argv)
    env = {key: arguments.replace_paths(text, paths) for key, text in command.env.items()}
    return replace(command, argv=argv, env=env)


class Contents:
    """Remembers which contents could be loaded, in ``file`` also for the runs to come.

    A published model is a link to its newest content; one that could not be loaded is not tried again, as long as the
    last one that could be is still there. A folder that is no link has one content, itself. ``before`` is the service
    as it was planned for the content that an earlier run loaded last.
    """

    def __init__(self, service: Service, file: ServedFile | None = None, before: Service | None = None) -> None:
        self._service = service
        self._file = file
        known = file.of(service.name) if file else Served()
        self._failed = dict(known.failed)
        self._loaded = Content(before or service, known.folder) if known.folder else None

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
        if content.folder is not None:
            self._failed.pop(content.folder, None)
        self._remember()

    def failed(self, content: Content, reason: str) -> bool:
        """Record that ``content`` could not be loaded; return whether an earlier one can take its place."""
        if content.folder is None or self._before(content) is None:
            return False
        self._failed[content.folder] = reason
        self._remember()
        return True

    def retry(self) -> None:
        """Forget that any content failed."""
        self._failed.clear()

    def _remember(self) -> None:
        """Write down what a next run has to know; a folder that is no link has nothing to come back to."""
        loaded = self._loaded
        if self._file is None or loaded is None or loaded.folder in (None, self._service.model_dir):
            return
        known = Served(folder=loaded.folder, failed=self._failed)
        if known == self._file.of(self._service.name):
            return
        try:
            self._file.write(self._service.name, known)
        except OSError as err:  # a full disk: this run goes on all the same
            logger.error("the content that serves cannot be remembered", extra={"reason": str(err)})

    def _newest(self) -> Content:
        link = self._service.model_dir
        return Content(self._service, link.resolve() if link is not None and link.is_symlink() else link)

    def _before(self, newest: Content) -> Content | None:
        """Return the last content that was loaded, if it is another one that is still there."""
        loaded = self._loaded
        if loaded is None or loaded.folder is None or loaded.folder == newest.folder or not loaded.folder.is_dir():
            return None
        return loaded
