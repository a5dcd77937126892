"""What was found in a folder last, kept on the disk so that a start judges again only what changed."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from switchyard.repository.judging import rules_version
from switchyard.repository.judging.wire import verdict_of
from switchyard.repository.verdict import Verdict
from switchyard.sync.folders import ModelKey

RECORDS = ".records"


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """A verdict on the folder that had this stamp; ``digest`` is what was published of it, or stayed so."""

    stamp: str
    verdict: Verdict
    digest: str


class Records:
    """Keeps a record per model below the root of what is published.

    ``basis`` is what verdicts depend on beside the folder; a record of another basis, or of other rules, is none.
    """

    def __init__(self, published: Path, basis: str = "") -> None:
        self._folder = published / RECORDS
        self._basis = f"{rules_version()} {basis}"

    def read(self, key: ModelKey) -> Record | None:
        try:
            row = json.loads(self._path(key).read_text())
            if row["basis"] != self._basis:
                return None
            return Record(stamp=row["stamp"], verdict=verdict_of(row["verdict"]), digest=row["digest"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, key: ModelKey, record: Record) -> None:
        """Write a record atomically; one that is lost costs another judgement."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = path.with_suffix(".new")
        staged.write_text(json.dumps({"basis": self._basis, **asdict(record)}))
        os.replace(staged, path)

    def remove(self, key: ModelKey) -> None:
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: ModelKey) -> Path:
        # Not the name itself: a folder may be called anything, also what no file with a suffix can be.
        return self._folder / key.group / f"{hashlib.sha256(os.fsencode(key.name)).hexdigest()[:32]}.json"
