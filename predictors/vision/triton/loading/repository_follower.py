"""Follows the links of a repository in which judged models are published: what is loaded is what is published."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Protocol

from switchyard.http.api_errors import ApiError

LOOK_SECONDS = 0.25  # a few readlinks per model; a model that nobody has loaded is listed and loaded without a look

logger = logging.getLogger(__name__)


class Links(Protocol):
    """The part of ``ModelFolders`` that is followed."""

    def links(self) -> Mapping[str, str]: ...
    def exists(self, name: str) -> bool: ...


class Loaded(Protocol):
    """The part of ``LoadedModels`` that follows; ``reload`` and ``remove`` raise ``ApiError``."""

    def contents(self) -> Mapping[str, str]: ...
    async def reload(self, name: str) -> None: ...
    async def remove(self, name: str) -> None: ...


class RepositoryFollower:
    """Reloads loaded models whose link leads elsewhere, and unloads those whose link is gone; one after the other.

    Folders that are no links are not followed: nobody has said of them that they are complete. Triton loads a model
    anew only if a file or folder of it is newer than all were that it has loaded, so whoever switches a link gives the
    versions' folders the time of the switch (``ModelTimestamp::IsModified`` in Triton's model_repository_manager.cc).
    """

    def __init__(self, folders: Links, loaded_models: Loaded) -> None:
        self._folders = folders
        self._loaded_models = loaded_models
        self._failed: dict[str, str] = {}  # contents that could not be loaded, by model: they are not tried again

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Bring what is loaded in step with the links; what Triton did not settle is tried at the next look."""
        try:
            links = await asyncio.to_thread(self._folders.links)  # a network's file system may hang
        except OSError as err:
            logger.debug("the repository cannot be read: %s", err)
            return
        for name, content in self._loaded_models.contents().items():
            link = links.get(name, "")
            if link not in (content, self._failed.get(name)):
                await self._follow(name, link)

    async def _follow(self, name: str, link: str) -> None:
        try:
            if not link and not self._folders.exists(name):
                await self._loaded_models.remove(name)
            else:
                await self._loaded_models.reload(name)
        except ApiError as err:
            # Triton is away, or still at it. Any other error is the content's, and the index has it.
            if err.status not in (503, 504):
                self._failed[name] = link
