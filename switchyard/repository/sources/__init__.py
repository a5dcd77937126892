"""Where models come from: buckets, the hub, registries and folders; fetched whole and checked, or not at all."""

from switchyard.repository.sources.fetch import fetch, staging_folder
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
    "Location",
    "NoSpaceError",
    "Remote",
    "RemoteFile",
    "Source",
    "SourceChangedError",
    "SourceError",
    "StoppedError",
    "fetch",
    "open_source",
    "parse",
    "staging_folder",
]
