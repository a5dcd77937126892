"""The tree that engines read: copies that are judged, and the links to those that are good."""

from switchyard.repository.publishing.copying import ChangedError, StoppedError
from switchyard.repository.publishing.lock import PublishedError
from switchyard.repository.publishing.published import (
    STAGING,
    Generation,
    Published,
    SpaceError,
    Staged,
)
from switchyard.repository.served import OBJECTS

__all__ = [
    "OBJECTS",
    "STAGING",
    "ChangedError",
    "Generation",
    "Published",
    "PublishedError",
    "SpaceError",
    "Staged",
    "StoppedError",
]
