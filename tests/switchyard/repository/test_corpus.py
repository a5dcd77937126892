"""Every folder of the corpus is judged by the real judge, in its process with limits."""

import asyncio
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from switchyard.repository.folder import list_files
from switchyard.repository.inspection import Device, Surroundings
from switchyard.repository.judging import Job, Judge, ProcessLimits
from switchyard.repository.verdict import Facts, FaultCode, Verdict
from tests.switchyard.repository.corpus import CASES
from tests.switchyard.repository.corpus.case import Case
from tests.switchyard.repository.corpus.hostile import TRACE

_SLOW = ProcessLimits(memory=1 << 30, cpu_seconds=2, wall_seconds=60.0)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The repository that has all of them; what is in it, a pipe for one, is not left to others."""
    made = tmp_path_factory.mktemp("corpus")
    for case in CASES:
        folder = made / case.group / case.name
        folder.mkdir(parents=True)
        case.build(folder)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def verdicts(root: Path) -> Mapping[str, Verdict]:
    """What is said of each, by name; what calls others is judged again once these are known, as the sync does."""
    if TRACE.exists():
        TRACE.rmdir()

    async def judge_all() -> dict[str, Verdict]:
        judge = Judge(2)
        try:
            first = await asyncio.gather(*(_judged(judge, root, case, {}) for case in CASES))
            found = {verdict.name: verdict for verdict in first}
            models = {name: verdict.facts for name, verdict in found.items() if verdict.facts}
            calling = [case for case in CASES if any(f.code is FaultCode.ENSEMBLE for f in found[case.name].faults)]
            again = await asyncio.gather(*(_judged(judge, root, case, models) for case in calling))
            return found | {verdict.name: verdict for verdict in again}
        finally:
            await judge.aclose()

    return asyncio.run(judge_all())


async def _judged(judge: Judge, root: Path, case: Case, models: Mapping[str, Facts]) -> Verdict:
    folder = root / case.group / case.name
    limits = _SLOW if case.slow else ProcessLimits.of(list_files(folder, case.group).bytes, case.group)
    others = {name: facts for name, facts in models.items() if name != case.name}
    around = Surroundings(names=case.taken, models=others, device=Device(memory=case.memory))
    job = Job(group=case.group, name=case.name, folder=folder, surroundings=around, limits=limits)
    return (await judge.judge(job)).verdict


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_folder_gets_the_verdict_that_it_deserves(case: Case, verdicts: Mapping[str, Verdict], root: Path) -> None:
    verdict = verdicts[case.name]
    if case.wrong is None:
        assert verdict.faults == ()
    else:
        fault = verdict.faults[0]
        assert (fault.code, fault.file) == (case.wrong.code, case.wrong.file), verdict.faults
        assert [words for words in case.wrong.words if words not in fault.message] == [], fault.message
    assert (verdict.facts is not None) == case.published
    if verdict.facts:
        assert not case.versions or verdict.facts.versions == case.versions
        assert case.notes in " ".join(verdict.facts.notes)
    for fault in verdict.faults:
        if fault.code is not FaultCode.MEMORY:  # which is a sum
            assert any(part in fault.message for part in fault.file.split("/")), "a sentence names the file"
        assert fault.message.endswith((".", "?"))
        assert fault.message.isprintable()
        assert len(fault.message) < 700
        assert str(root) not in fault.message


def test_nothing_of_what_was_judged_was_run(verdicts: Mapping[str, Verdict]) -> None:
    assert verdicts
    assert not TRACE.exists()


def test_the_corpus_has_enough_of_good_and_bad_ones_each_with_a_name_of_its_own() -> None:
    broken = [case for case in CASES if case.wrong]

    assert len(CASES) - len(broken) >= 40
    assert len(broken) >= 80
    assert [name for name, count in Counter(case.name for case in CASES).items() if count > 1] == []
    assert {case.wrong.code for case in broken if case.wrong} == {*FaultCode} - {FaultCode.SIGNATURE}
