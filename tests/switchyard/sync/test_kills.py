"""The program is killed in the middle of its work: what engines see is whole at every moment, and in the end new."""

import hashlib
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import helper, numpy_helper

from tests.switchyard.repository import onnx_models
from tests.switchyard.sync.program import Program

WIDTH = 1 << 20  # floats: 4 MB take some time to be copied


def write(folder: Path, number: int) -> str:
    """Write the content of this number; return its SHA-256."""
    values = np.full(WIDTH, number, dtype=np.float32)
    nodes = [
        helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(values, "c")),
        helper.make_node("Add", ["x", "c"], ["y"]),
    ]
    onnx_models.with_config(onnx_models.save(folder, nodes, width=WIDTH), width=WIDTH)
    return hashlib.sha256((folder / "1/model.onnx").read_bytes()).hexdigest()


def objects(sync: Program) -> set[str]:
    folder = sync.published / ".objects/vision/digits"
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def is_staged(sync: Program) -> bool:
    """Whether a part of a file is there that is being copied."""
    staging = sync.published / ".staging"
    try:
        return any(path.stat().st_size > 0 for path in staging.rglob("model.onnx"))
    except FileNotFoundError:
        return False


def is_checking(sync: Program) -> bool:
    status = sync.status("digits")
    return status is not None and status.phase == "checking"


def is_renamed(sync: Program) -> bool:
    found = objects(sync)
    return any(f"{name}.json" not in found for name in found if not name.endswith(".json"))


def is_recorded(sync: Program) -> bool:
    newest = max((name for name in objects(sync) if name.endswith(".json")), default="")
    return bool(newest) and newest.removesuffix(".json") not in (sync.target("vision", "digits") or "")


def at_once(sync: Program) -> bool:
    return (sync.published / ".lock").exists()


def assert_whole(sync: Program, contents: set[str]) -> None:
    """What the link leads to is one of the contents that there ever were, with all its files."""
    target = sync.target("vision", "digits")
    if target is None:
        return
    folder = sync.published / "vision/digits"
    assert hashlib.sha256((folder / "1/model.onnx").read_bytes()).hexdigest() in contents
    assert (folder / "config.pbtxt").read_text().startswith("backend")
    record = json.loads((folder.resolve().parent / f"{folder.resolve().name}.json").read_text())
    assert record["digest"] == os.path.basename(target)


@pytest.mark.parametrize("moment", [at_once, is_checking, is_staged, is_renamed, is_recorded])
def test_a_kill_leaves_a_whole_content_and_the_next_start_publishes_the_newest(
    moment: Callable[[Program], bool], tmp_path: Path
) -> None:
    sync = Program(tmp_path)
    folder = sync.source / "vision/digits"
    contents = {write(folder, 0)}
    with sync:
        first = sync.wait_for("digits", "published")
    newest = write(folder, 1)
    contents.add(newest)
    sync.start()
    # Some moments are shorter than a look: then it is killed just after.
    sync.wait(lambda: moment(sync) or first.digest not in str(sync.target("vision", "digits")), pause=0.0)
    sync.stop(signal.SIGKILL)
    assert_whole(sync, contents)
    with sync:
        sync.wait_for("digits", "published", other_than=first.digest)
        assert_whole(sync, {newest})
        assert list((sync.published / ".staging").iterdir()) == []
        assert not is_renamed(sync)


def test_who_reads_the_status_never_misses_a_model_while_the_program_starts_again(tmp_path: Path) -> None:
    sync = Program(tmp_path)
    write(sync.source / "vision/digits", 0)
    for number in range(20):
        (sync.source / "llm" / f"broken-{number}").mkdir(parents=True)
    with sync:
        first = sync.wait_for("digits", "published")
        sync.wait(lambda: len(sync.statuses()) == 21)
    (sync.published / ".records").rename(tmp_path / "lost")  # as after an update of the rules
    sync.start()
    seen = set[tuple[str, str, int]]()

    def is_published() -> bool:
        statuses = sync.statuses()
        status = next(status for status in statuses if status.name == "digits")
        seen.add((status.phase, status.digest, len(statuses)))
        return status.phase == "published" and status.seconds != first.seconds

    sync.wait(is_published, pause=0.0)
    sync.stop(signal.SIGKILL)
    assert {digest for _, digest, _ in seen} == {first.digest}
    assert {number for _, _, number in seen} == {21}
