"""A sync whose repository is the corpus: it publishes what is good, says what is wrong with the rest, and goes on."""

import shutil
from collections.abc import Iterator
from functools import partial

import pytest

from switchyard.repository.status import ModelStatus
from tests.switchyard.repository.corpus import CASES
from tests.switchyard.repository.corpus.graphs import relu, save
from tests.switchyard.repository.corpus.hostile import TRACE
from tests.switchyard.sync.program import Program

pytestmark = pytest.mark.live

DROPPED = [case for case in CASES if not (case.alone or case.slow)]


@pytest.fixture(scope="module")
def sync(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A sync after all folders were dropped into its repository and judged."""
    program = Program(tmp_path_factory.mktemp("corpus"))
    for group in ("vision", "llm"):
        (program.source / group).mkdir()
    if TRACE.exists():
        TRACE.rmdir()
    try:
        with program:
            for case in DROPPED:
                # At once: on a busy machine some are good for a while before what is wrong is added.
                folder = tmp_path_factory.mktemp("built") / case.name
                folder.mkdir()
                case.build(folder)
                folder.rename(program.source / case.group / case.name)
            # Rarely asked: to read what is said of hundreds of models takes the time of judging one.
            program.wait(partial(_all_are_settled, program), pause=1.0, seconds=600)
            yield program
    finally:
        # Whoever reads all that tests have written would wait at the pipe, and read 300 GB of zeros.
        shutil.rmtree(program.source)


def _all_are_settled(program: Program) -> bool:
    settled = {status.name for status in program.statuses() if status.phase in ("published", "failed")}
    return settled >= {case.name for case in DROPPED}


def _statuses(program: Program) -> dict[str, ModelStatus]:
    return {status.name: status for status in program.statuses()}


def test_exactly_the_good_ones_are_published(sync: Program) -> None:
    good = {case.name for case in DROPPED if case.published}
    # A model that is called may come after the one that calls it.
    sync.wait(lambda: {status.name for status in sync.statuses() if status.phase == "published"} >= good)
    published = {path.name for group in ("vision", "llm") for path in (sync.published / group).iterdir()}

    assert {name for name, status in _statuses(sync).items() if status.phase == "published"} == good
    assert published == good
    assert {status.name for status in sync.statuses()} == {case.name for case in DROPPED}


def test_each_of_the_others_has_its_sentence(sync: Program) -> None:
    statuses = _statuses(sync)
    wrong = {case.name: case.wrong for case in DROPPED if case.wrong and not case.published}
    said = {name: (statuses[name].code, statuses[name].file) for name in wrong}

    assert said == {name: (fault.code, fault.file) for name, fault in wrong.items()}
    assert {name for name, fault in wrong.items() if fault.words[0] not in statuses[name].reason} == set()


def test_what_is_published_is_a_copy_without_anything_that_is_not_served(sync: Program) -> None:
    for case in DROPPED:
        if case.published:
            folder = (sync.published / case.group / case.name).resolve()
            assert folder.is_relative_to(sync.published)
            assert [path for path in folder.rglob("*") if path.is_symlink()] == []
    assert not (sync.published / "vision/with-litter/.DS_Store").exists()
    assert not TRACE.exists()


def test_it_goes_on_and_nothing_of_it_failed(sync: Program) -> None:
    save(relu())(sync.source / "vision" / "one-more")

    assert sync.wait_for("one-more", "published").facts
    assert "Traceback" not in sync.log.read_text()
