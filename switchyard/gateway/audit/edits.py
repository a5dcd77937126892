"""Writes edits of ``tenants.yaml`` down as they come into force, once for all gateways of a store."""

import asyncio
import logging
from hashlib import file_digest
from pathlib import Path
from uuid import uuid4

from switchyard.gateway.audit.differences import counts, differences
from switchyard.gateway.audit.log import FILE, Act, AuditLog
from switchyard.gateway.tenants.directory import Directory
from switchyard.gateway.tenants.file import TenantsFile
from switchyard.store.contract import StoreError
from switchyard.store.records.contract import Records

logger = logging.getLogger(__name__)

_COLLECTION, _NAME = "audit", "tenants.yaml"
_LOOK_SECONDS = 0.5
_PROBLEM_CHARACTERS = 2000


class TenantsEdits:
    """Follows what is in force of a file; ``records`` keep which edit was written down last, None for no store.

    A gateway that starts writes down a file that no gateway has had, without what it has changed: nobody knows.
    """

    def __init__(self, file: TenantsFile, audit: AuditLog, records: Records | None) -> None:
        self._file = file
        self._audit = audit
        self._records = records
        self._seen: Directory | None = None
        self._problem = ""

    async def follow(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> None:
        """Write down what has changed since the last look."""
        before, current, problem = self._seen, self._file.current, self._file.problem
        if current is before and problem == self._problem:
            return
        self._seen, self._problem = current, problem
        act = Act(type="tenants.rejected", details={"problem": problem[:_PROBLEM_CHARACTERS]}, outcome="invalid")
        if not problem:
            changes = await differences(before, current) if before is not None else {}
            act = Act(type="tenants.updated", details={**counts(current), **changes})
        if await self._is_new(act.type):
            await self._audit.write(act, FILE)

    async def _is_new(self, kind: str) -> bool:
        """Return whether no gateway has written this edit down; without a store there is no other to ask."""
        if self._records is None:
            return True
        try:
            edit = f"{kind} {await asyncio.to_thread(_hashed, self._file.path)} ".encode()
            found = (await self._records.changes(_COLLECTION, after=0)).records
            last = next((record for record in found if record.name == _NAME), None)
            if last is not None and last.value.startswith(edit):
                return False
            # Of several gateways that are here at once, one writes its own value.
            own, expected = edit + uuid4().hex.encode(), last.revision if last else 0
            return await self._records.put(_COLLECTION, _NAME, own, expected=expected) is not None
        except (StoreError, OSError) as err:
            logger.warning("whether another gateway has written an edit down is not known: %s", err)
            return True


def _hashed(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
