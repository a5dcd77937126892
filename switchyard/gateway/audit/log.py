"""Writes acts down: each as a line of JSON in the log, and to the journal of the store, which is only added to."""

import asyncio
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from switchyard.gateway.tenants.keys import FORM, PREFIX
from switchyard.store.contract import StoreError
from switchyard.store.journal.contract import Journal

logger = logging.getLogger(__name__)
logger.setLevel(logging.INFO)  # whatever LOG_LEVEL is: an audit log is complete or none

MOST = 200_000  # acts that are kept, some 500 bytes each
SUCCEEDED = "succeeded"
_PRUNE_SECONDS = 3600.0
_DAY = 86400
_SECRET = re.compile(FORM.removeprefix(r"\b").removesuffix(r"\b").encode())  # also within words
_HIDDEN = f"{PREFIX}...".encode()


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a key or token of a tenant, the file of tenants, or, in a gateway without keys, this machine.

    ``source`` is where a request came from: an address, and its id.
    """

    actor: Mapping[str, Any]
    source: Mapping[str, str] | None = None


FILE = Actor({"type": "file", "file": {"name": "tenants.yaml"}})


@dataclass(frozen=True, kw_only=True, slots=True)
class Act:
    """What was done: ``type`` is OpenAI's where it has one, ``project`` the tenant that it was done to.

    ``details`` go under the type's name; ``outcome`` is ``succeeded``, or the code of the error or the status.
    """

    type: str
    project: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    outcome: str = SUCCEEDED


class AuditLog:
    """Acts of this gateway; ``journal`` is None where no store keeps them.

    Keys are cut out of whatever is written, wherever a caller may have put one. ``on_unwritten`` is told of each act
    that the store did not take. ``now`` returns seconds since 1970.
    """

    def __init__(self, journal: Journal | None, *, now: Callable[[], float] = time.time) -> None:
        self.journal = journal
        self.on_unwritten: Callable[[], None] = lambda: None
        self._now = now

    async def write(self, act: Act, by: Actor) -> None:
        """Write an act down; it never fails, and is written to its end even if the caller is cancelled."""
        event = {
            "object": "organization.audit_log",
            "type": act.type,
            "effective_at": int(self._now()),
            "project": {"id": act.project, "name": act.project} if act.project else None,
            "actor": by.actor,
            "source": by.source,
            "outcome": act.outcome,
            act.type: act.details,
        }
        entry = _SECRET.sub(_HIDDEN, orjson.dumps(event))
        logger.info("audit", extra={"audit": orjson.loads(entry)})
        if self.journal is not None:
            await asyncio.shield(self._append(self.journal, entry))

    async def _append(self, journal: Journal, entry: bytes) -> None:
        try:
            await journal.append(entry)
        except StoreError as err:
            self.on_unwritten()
            logger.error("an act is in the log alone, not in the store: %s", err)

    async def follow(self, days: int) -> None:
        """Forget what is older than ``days``, 0 for never, and all but the last ``MOST``; until cancelled."""
        while self.journal is not None:
            try:
                await self.journal.prune(before=int(self._now()) - days * _DAY if days else 0, most=MOST)
            except StoreError as err:
                logger.warning("old acts were not pruned: %s", err)
            await asyncio.sleep(_PRUNE_SECONDS)

    async def aclose(self) -> None:
        """Close the journal."""
        if self.journal is not None:
            await self.journal.aclose()
