"""What folders can do to the process that judges them, and what it says then."""

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from onnx import TensorProto, helper, numpy_helper

from switchyard.repository.inspection import Surroundings
from switchyard.repository.judging import Job, Judge, JudgeError, ProcessLimits, check
from switchyard.repository.verdict import FaultCode
from tests.switchyard.repository import onnx_models

LIMITS = ProcessLimits(memory=1 << 30, cpu_seconds=60, wall_seconds=60.0)


@pytest.fixture
async def judge() -> AsyncIterator[Judge]:
    judge = Judge()
    await judge.start()
    yield judge
    await judge.aclose()


def job(folder: Path, limits: ProcessLimits = LIMITS) -> Job:
    return Job(group="vision", name=folder.name, folder=folder, surroundings=Surroundings(), limits=limits)


def judging_processes() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "switchyard.repository.judging.child" in command(child)]


def command(process: psutil.Process) -> list[str]:
    try:
        found: list[str] = process.cmdline()
        return found
    except psutil.Error:  # another test's, which has ended
        return []


def endless(folder: Path) -> Path:
    """Write a model that loops nearly for ever."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["going"], ["still"]), helper.make_node("Neg", ["value"], ["next"])],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value", TensorProto.FLOAT, [None, 4]),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, [None, 4]),
        ],
    )
    rounds = numpy_helper.from_array(np.array(1 << 60, dtype=np.int64), "rounds")
    going = numpy_helper.from_array(np.array(True), "true")
    nodes = [
        helper.make_node("Constant", [], ["rounds"], value=rounds),
        helper.make_node("Constant", [], ["true"], value=going),
        helper.make_node("Loop", ["rounds", "true", "x"], ["y"], body=body),
    ]
    return onnx_models.with_config(onnx_models.save(folder, nodes))


def vast(folder: Path, rows: int = 1 << 32) -> Path:
    """Write a model of some bytes that needs 16 bytes for each row to run, which is 64 GiB."""
    shape = numpy_helper.from_array(np.array([rows, 4], dtype=np.int64), "shape")
    nodes = [
        helper.make_node("Constant", [], ["shape"], value=shape),
        helper.make_node("Expand", ["x", "shape"], ["wide"]),
        helper.make_node("ReduceSum", ["wide"], ["sum"], keepdims=1),
        helper.make_node("Mul", ["x", "sum"], ["y"]),
    ]
    return onnx_models.with_config(onnx_models.save(folder, nodes))


async def test_a_good_model_is_judged_and_what_its_files_are_comes_back(judge: Judge, tmp_path: Path) -> None:
    judged = await judge.judge(job(onnx_models.relu(tmp_path / "digits")))
    assert judged.verdict.faults == ()
    assert judged.verdict.facts is not None
    assert judged.manifest is not None
    assert sorted(judged.manifest.files) == ["1/model.onnx", "config.pbtxt"]
    assert judged.verdict.digest == judged.manifest.digest
    assert {"hash", "inspect", "smoke"} <= judged.verdict.seconds.keys()


@pytest.mark.parametrize(
    ("make", "limits"),
    [
        (vast, LIMITS),
        (endless, replace(LIMITS, wall_seconds=1.0)),
        (endless, replace(LIMITS, cpu_seconds=1)),
        (endless, replace(LIMITS, run_seconds=1.0)),
    ],
    ids=["memory", "wall time", "CPU time", "time of the run"],
)
async def test_a_model_that_takes_too_much_is_ended_and_the_next_one_judged(
    make: Callable[[Path], Path], limits: ProcessLimits, judge: Judge, tmp_path: Path
) -> None:
    judged = await judge.judge(job(make(tmp_path / "greedy"), limits))
    assert judged.verdict.facts is None
    assert judged.verdict.faults[0].code is FaultCode.LIMIT
    assert "smaller" in judged.verdict.sentence
    assert (await judge.judge(job(onnx_models.relu(tmp_path / "good")))).verdict.faults == ()


async def test_a_judging_process_that_is_killed_is_replaced_and_the_folder_judged(judge: Judge, tmp_path: Path) -> None:
    folder = endless(tmp_path / "endless")
    task = asyncio.create_task(judge.judge(job(folder, replace(LIMITS, wall_seconds=2.0))))
    (process,) = judging_processes()
    while not (forks := process.children()):
        await asyncio.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    await asyncio.to_thread(psutil.wait_procs, forks, 30)
    assert not any(fork.is_running() and fork.status() != psutil.STATUS_ZOMBIE for fork in forks)
    assert (await task).verdict.faults[0].code is FaultCode.LIMIT


async def test_no_more_processes_are_started_than_may_be(tmp_path: Path) -> None:
    judge = Judge(2)
    jobs = [judge.judge(job(onnx_models.relu(tmp_path / f"digits-{number}"))) for number in range(4)]
    try:
        await asyncio.gather(judge.start(), *jobs)
        assert len(judging_processes()) == 2
    finally:
        await judge.aclose()


@pytest.mark.parametrize("is_judging", [False, True])
async def test_the_end_leaves_no_process_whatever_a_judge_is_at(tmp_path: Path, is_judging: bool) -> None:
    judge = Judge()
    if is_judging:
        await judge.start()
    task = asyncio.create_task(judge.judge(job(endless(tmp_path / "endless"))))
    while not (found := judging_processes()) or (is_judging and not found[0].children()):
        await asyncio.sleep(0.01)
    await judge.aclose()
    with pytest.raises(JudgeError, match="program ends"):
        await task
    assert judging_processes() == []


async def test_a_cancelled_verdict_is_not_taken_for_the_next(judge: Judge, tmp_path: Path) -> None:
    task = asyncio.create_task(judge.judge(job(endless(tmp_path / "endless"))))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (await judge.judge(job(onnx_models.relu(tmp_path / "good")))).verdict.name == "good"


async def test_the_process_has_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    judge = Judge()
    await judge.start()
    try:
        (process,) = judging_processes()
        assert "AWS_SECRET_ACCESS_KEY" not in process.environ()
    finally:
        await judge.aclose()


def test_a_folder_is_checked_without_anything_that_runs(tmp_path: Path) -> None:
    assert check(onnx_models.relu(tmp_path / "digits")).faults == ()
    shutil.rmtree(tmp_path / "digits")
    assert check(tmp_path / "digits").faults[0].code is FaultCode.INCOMPLETE
    assert judging_processes() == []


async def test_files_that_the_model_does_not_need_give_it_no_more_memory(judge: Judge, tmp_path: Path) -> None:
    folder = vast(tmp_path / "greedy", rows=1 << 27)  # 2 GiB
    with (folder / "1/hole.dat").open("wb") as file:
        file.truncate(64 << 20)
    wide = replace(LIMITS, memory=16 << 30)
    assert (await judge.judge(job(folder, wide))).verdict.faults[0].code is FaultCode.LIMIT


def test_no_size_of_a_folder_lifts_memory_beyond_a_share_of_what_is_free_nor_the_run_beyond_a_minute() -> None:
    limits = ProcessLimits.of(1 << 40, "vision")
    assert limits.memory < psutil.virtual_memory().total
    assert limits.of_run(1 << 40)[1] == 60.0
    assert limits.of_run(1 << 20)[1] < 11.0


async def test_a_folder_that_is_only_inspected_is_neither_run_nor_hashed(judge: Judge, tmp_path: Path) -> None:
    judged = await judge.judge(replace(job(endless(tmp_path / "endless")), inspect_only=True))
    assert judged.manifest is None
    assert judged.verdict.facts is not None
    assert not {"hash", "smoke"} & judged.verdict.seconds.keys()
