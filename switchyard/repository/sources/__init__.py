"""Where models come from: buckets, the hub, registries and folders; fetched whole and checked, or not at all."""

from switchyard.repository.sources.fetching import fetch, staging_folder
from switchyard.repository.sources.following import Follower, SourceEvent, remove_others
from switchyard.repository.sources.models import Place, models_of
from switchyard.repository.sources.opening import open_source
from switchyard.repository.sources.remote import (
    NoSpaceError,
    Remote,
    RemoteFile,
    Source,
    SourceChangedError,
    SourceError,
    StoppedError,
)
from switchyard.repository.sources.uri import Location, parse

__all__ = [
    "Follower",
    "Location",
    "NoSpaceError",
    "Place",
    "Remote",
    "RemoteFile",
    "Source",
    "SourceChangedError",
    "SourceError",
    "SourceEvent",
    "StoppedError",
    "fetch",
    "models_of",
    "open_source",
    "parse",
    "remove_others",
    "staging_folder",
]
