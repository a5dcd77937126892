"""Models that come from elsewhere: they are brought into a folder of this machine, and followed there like others."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from switchyard.repository.verdict import Group

INCOMING = ".incoming"  # below the root of what is published, so that a copy need not cross file systems


@dataclass(frozen=True, kw_only=True, slots=True)
class Download:
    """How far one model has come; ``progress`` is the bytes that are there and all bytes.

    ``source`` is the address without credentials, ``revision`` what it was pinned to. ``reason`` says why it failed;
    what was brought before stays.
    """

    group: Group
    name: str
    state: Literal["running", "done", "failed", "removed"]
    source: str
    revision: str = ""
    progress: tuple[int, int] = (0, 0)
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """Whether a source can be listed; told of one of which no model was ever listed, as nobody knows its models."""

    source: str
    failed: bool


Report = Callable[[Download | Listing], None]


class Downloader(Protocol):
    """Follows one source."""

    async def run(self, incoming: Path, report: Report) -> None:
        """Keep ``incoming/<group>/<name>/`` in step with the source until cancelled.

        A folder is put in place, replaced and removed in one rename; names that begin with a dot are not looked at.
        """
