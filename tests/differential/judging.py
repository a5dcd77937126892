"""Runs cases through the arena and keeps those that differ without an argument."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.differential.cases import Case, alone
from tests.differential.comparing import difference, rejecting
from tests.differential.differences import row_of
from tests.differential.running import Arena, Outcomes

_SAME = "no difference"


@dataclass(slots=True)
class Verdict:
    """How many cases ran, how many differed by the row that argues for it, and those without one."""

    cases: int = 0
    argued: Counter[str] = field(default_factory=Counter)
    unargued: list[str] = field(default_factory=list)


class Judge:
    """Knows what each oddity does alone, and judges cases of several by that."""

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._alone: dict[str, list[str]] = {}
        self.verdict = Verdict()

    async def alone(self) -> None:
        """Judges every oddity by itself; to be called first."""
        outcomes = await self._arena.run(list(alone()))
        self._alone = {case.oddities[0]: rejecting(found) for case, found in outcomes.items()}
        await self._judge(outcomes)

    async def judge(self, cases: Sequence[Case]) -> None:
        """Judges cases of several oddities."""
        await self._judge(await self._arena.run(cases))

    async def _judge(self, outcomes: dict[Case, Outcomes]) -> None:
        for case, found in outcomes.items():
            self.verdict.cases += 1
            row = self._row(case, found)
            if row is None:  # a proxy on a busy machine may have been slow: once more, and alone
                found = await self._arena.again(case)
                row = self._row(case, found)
            if row is None:
                shown = "\n".join(f"  {name:<8} {outcome}" for name, outcome in found.items())
                self.verdict.unargued.append(f"{case}: {difference(found)}\n{case.data!r}\n{shown}")
            elif row is not _SAME:
                self.verdict.argued[row] += 1

    def _row(self, case: Case, outcomes: Outcomes) -> str | None:
        found = difference(outcomes)
        return _SAME if found is None else row_of(case, found, outcomes, self._alone)
