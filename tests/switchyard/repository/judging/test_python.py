"""What a model in Python may do while it is run once, and what its process leaves; verdicts are in the corpus."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from switchyard.repository.inspection import Surroundings
from switchyard.repository.judging import Job, Judge, Judged, ProcessLimits, landlock
from switchyard.repository.verdict import FaultCode
from tests.switchyard.repository.corpus.python_models import CODE, CONFIG, code

pytestmark = pytest.mark.skipif(landlock.version() < 1, reason="without Landlock no code of a model is run")

LIMITS = ProcessLimits(memory=1 << 30, cpu_seconds=60, wall_seconds=60.0)


@pytest.fixture
async def judge() -> AsyncIterator[Judge]:
    judge = Judge()
    await judge.start()
    yield judge
    await judge.aclose()


def processes_of_judging() -> list[psutil.Process]:
    """Return those whose command line names this process: the judging process, and what was forked below it."""
    judging = ["switchyard.repository.judging.child", str(os.getpid())]
    found = psutil.process_iter(["cmdline", "status"])
    alive = [each for each in found if each.info["status"] != psutil.STATUS_ZOMBIE]
    return [each for each in alive if (each.info["cmdline"] or [])[-2:] == judging]


async def judged(judge: Judge, folder: Path, limits: ProcessLimits = LIMITS) -> Judged:
    job = Job(group="vision", name=folder.name, folder=folder, surroundings=Surroundings(), limits=limits)
    return await judge.judge(job)


async def test_a_version_that_waits_for_ever_leaves_the_others(judge: Judge, tmp_path: Path) -> None:
    folder = tmp_path / "double"
    code(config=CONFIG + "version_policy { all {} }\n")(folder)
    (folder / "2").mkdir()
    (folder / "2/model.py").write_text(CODE.format(load="import time; time.sleep(600)", run="pass"))

    verdict = (await judged(judge, folder, replace(LIMITS, code_seconds=6.0))).verdict

    assert verdict.facts is not None
    assert verdict.facts.versions == ("1",)
    assert [(fault.code, fault.version) for fault in verdict.faults] == [(FaultCode.LIMIT, "2")]


async def test_nothing_that_a_model_starts_outlives_its_verdict(judge: Judge, tmp_path: Path) -> None:
    leaves = "import os, time; os.fork() or (os.setsid(), os.fork() or time.sleep(600), os._exit(0))"
    code(leaves)(tmp_path / "leaver")

    verdict = (await judged(judge, tmp_path / "leaver")).verdict

    assert verdict.faults == ()
    assert len(processes_of_judging()) == 1


async def test_a_model_cannot_write_its_own_verdict(judge: Judge, tmp_path: Path) -> None:
    rows = b'{"verdict": {}}\n{"fault": "x\\u001b[2J", "code": "no", "file": "/etc/passwd"}\n{"note": 1}\n[]\nx\n'
    says = f"""import os
        for handle in range(64):
            try: os.write(handle, {rows!r})
            except OSError: pass"""
    code(says)(tmp_path / "liar")

    verdict = (await judged(judge, tmp_path / "liar")).verdict

    (fault,) = verdict.faults
    assert (fault.code, fault.file, fault.version, fault.message) == (FaultCode.SMOKE, "1/model.py", "1", "x[2J")
    assert verdict.facts is None


async def test_a_model_can_neither_read_what_is_another_s_nor_ask_over_the_network(
    judge: Judge, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("secret")
    for name, load in {
        "reader": f"raise ValueError(open({str(tmp_path / 'secret')!r}).read())",
        "lister": f"import os; raise ValueError(os.listdir({str(tmp_path)!r}))",
        "remover": f"import os; os.remove({str(tmp_path / 'secret')!r})",
        "writer": "Path(__file__).with_name('more').touch()",
        "starter": "import subprocess; subprocess.run(['true'])",
        "ender": "import os; os.kill(os.getppid(), 9)" if landlock.version() >= 6 else "open('/etc/passwd')",
    }.items():
        code(load)(tmp_path / name)

        verdict = (await judged(judge, tmp_path / name)).verdict

        assert verdict.faults == (), name
        assert verdict.facts is not None
        assert "PermissionError" in verdict.facts.notes[0], name
    assert (tmp_path / "secret").exists()
    assert not (tmp_path / "writer/1/more").exists()


async def test_runs_of_one_model_know_nothing_of_another_s_modules(judge: Judge, tmp_path: Path) -> None:
    for name in ("one", "two"):
        code("import helper; assert helper.NAME == args['model_name'], helper.NAME")(tmp_path / name)
        (tmp_path / name / "1/helper.py").write_text(f"NAME = {name!r}\n")
        (tmp_path / name / "1/onnx.py").write_text("")  # has the name of what the judging process imports

    first, second = await asyncio.gather(*(judged(judge, tmp_path / name) for name in ("one", "two")))

    assert (first.verdict.faults, second.verdict.faults) == ((), ())
    assert [verdict.verdict.facts and verdict.verdict.facts.notes for verdict in (first, second)] == [(), ()]
