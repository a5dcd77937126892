"""What every source that an address names has."""

from dataclasses import dataclass

from switchyard.repository.sources.listing import LIMITS, Limits
from switchyard.repository.sources.uri import Location


@dataclass(frozen=True, kw_only=True, slots=True)
class LocatedSource:
    """The base of sources at ``location``; of a model there, at most ``limits`` are taken."""

    location: Location
    limits: Limits = LIMITS

    @property
    def uri(self) -> str:
        return self.location.uri

    @property
    def follows(self) -> bool:
        return self.location.follows
