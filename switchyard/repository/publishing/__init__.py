"""The tree that engines read: copies that are judged, and the links to those that are good."""

from switchyard.repository.publishing.copying import ChangedError, StoppedError
from switchyard.repository.publishing.published import (
    OBJECTS,
    STAGING,
    Generation,
    Published,
    PublishedError,
    SpaceError,
    Staged,
)

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
