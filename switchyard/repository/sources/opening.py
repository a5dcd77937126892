"""From the address that a person wrote to the source behind it; a store's library is imported when needed."""

from collections.abc import Mapping
from pathlib import Path

from switchyard.repository.sources.listing import LIMITS, Limits
from switchyard.repository.sources.remote import Source, SourceError
from switchyard.repository.sources.stores.folder import FolderSource
from switchyard.repository.sources.stores.settings import configured
from switchyard.repository.sources.uri import Location, parse


def open_source(
    address: str | Location,
    *,
    claims: Mapping[str, Path] = {},
    limits: Limits = LIMITS,
) -> Source:
    """Return the source at ``address``; ``claims`` has the folder where each claim is mounted here.

    Raises:
        SourceError: the address cannot be used.
    """
    location = parse(address) if isinstance(address, str) else address
    match location.scheme:
        case "file":
            root = Path("/", location.path)
            return FolderSource(root=root, uri=root.name, follows=location.follows, limits=limits)
        case "pvc":
            mounted = claims.get(location.place)
            if mounted is None:
                known = ", ".join(sorted(claims)) or "none"
                raise SourceError(f"{location.uri} names a claim that is not mounted here; mounted: {known}")
            root = mounted / location.path
            if not root.resolve().is_relative_to(mounted.resolve()):
                raise SourceError(f"{location.uri} is a link that leaves its claim: copy what it leads to")
            return FolderSource(root=root, uri=location.uri, follows=location.follows, limits=limits)
        case _:
            with configured(location):
                return _store(location, limits)


def _store(location: Location, limits: Limits) -> Source:
    match location.scheme:
        case "s3":
            from switchyard.repository.sources.stores.s3 import S3Source

            return S3Source(location=location, limits=limits)
        case "hf":
            from switchyard.repository.sources.stores.hub import HubSource

            return HubSource(location=location, limits=limits)
        case "oci":
            from switchyard.repository.sources.stores.oci import OciSource

            return OciSource(location=location, limits=limits)
        case _:
            from switchyard.repository.sources.stores.gcs import GcsSource

            return GcsSource(location=location, limits=limits)
