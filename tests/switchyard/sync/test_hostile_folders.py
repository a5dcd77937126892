"""What whoever can write to a folder, or to what is published, does to get something else served than was judged."""

import mmap
import os
import shutil
import threading
from pathlib import Path

from onnx import TensorProto, helper

from switchyard.repository.verdict import FaultCode
from tests.switchyard.repository import onnx_models
from tests.switchyard.sync.program import Program


def flip(path: Path, ended: threading.Event) -> None:
    """Write through a mapping, which changes no time of the file."""
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        at = mapped.find(b"max_batch_size: 8") + len(b"max_batch_size: ")
        while not ended.is_set():
            for digit in b"89":
                mapped[at] = digit


def test_a_file_that_changes_unseen_is_published_as_it_was_judged(tmp_path: Path) -> None:
    ended = threading.Event()
    with Program(tmp_path) as sync:
        folder = onnx_models.relu(sync.source / "vision/digits")
        flipping = threading.Thread(target=flip, args=(folder / "config.pbtxt", ended))
        flipping.start()
        try:
            before = ""
            for number in range(5):
                (folder / "README.md").write_text(f"# Number {number}\n")  # another content each time
                status = sync.wait_for("digits", "published", other_than=before)
                before = status.digest
                assert status.facts
                text = (sync.published / "vision/digits/config.pbtxt").read_text()
                assert f"max_batch_size: {status.facts.max_batch_size}\n" in text
        finally:
            ended.set()
            flipping.join()


def test_no_copy_is_left_of_folders_whether_they_are_good_or_not(tmp_path: Path) -> None:
    with Program(tmp_path) as sync:
        onnx_models.relu(sync.source / "vision/good")
        onnx_models.relu(sync.source / "vision/pickled")
        (sync.source / "vision/pickled/1/model.pkl").write_bytes(b"\x80\x04")
        cast = helper.make_node("Cast", ["x"], ["y"], to=TensorProto.INT64)
        onnx_models.with_config(onnx_models.save(sync.source / "vision/other-type", [cast], output=TensorProto.INT64))
        sync.wait_for("good", "published")
        pickled = sync.wait_for("pickled", "failed")
        assert pickled.code is FaultCode.PICKLE
        assert "copy" not in (pickled.seconds or {})
        assert sync.wait_for("other-type", "failed").code is FaultCode.GRAPH
        sync.wait(lambda: not os.listdir(sync.published / ".staging"))


def test_a_published_file_that_was_written_to_is_replaced_at_the_next_start(tmp_path: Path) -> None:
    sync = Program(tmp_path)
    folder = onnx_models.relu(sync.source / "vision/digits")
    with sync:
        sync.wait_for("digits", "published")
    config = sync.published / "vision/digits/config.pbtxt"
    os.chmod(config, 0o644)
    config.write_text("backend: 'python'")
    with sync:
        sync.wait(lambda: config.exists() and config.read_text() == (folder / "config.pbtxt").read_text())
        sync.wait_for("digits", "published")
    assert "written to" in sync.log.read_text()


def test_a_large_folder_with_a_fault_that_a_look_finds_is_not_copied(tmp_path: Path) -> None:
    with Program(tmp_path) as sync:
        folder = tmp_path / "made"
        onnx_models.relu(folder)
        (folder / "1/model.onnx").unlink()
        with (folder / "1/weights.dat").open("wb") as file:
            file.truncate(100 << 20)
        shutil.move(folder, sync.source / "vision/large")
        status = sync.wait_for("large", "failed")
        assert status.code is FaultCode.INCOMPLETE
        assert status.seconds
        assert "copy" not in status.seconds


def test_a_folder_whose_name_is_no_utf_8_keeps_no_other_from_coming_and_going(tmp_path: Path) -> None:
    sync = Program(tmp_path)
    os.makedirs(os.fsencode(sync.source) + b"/vision/\xff/1")
    with sync:
        for name in ("first", "second"):
            shutil.move(onnx_models.relu(tmp_path / name), sync.source / "vision")
            sync.wait_for(name, "published")
            shutil.rmtree(sync.source / "vision" / name)
            sync.wait(lambda name=name: sync.status(name) is None)  # type: ignore[misc]
            assert sync.target("vision", name) is None
    assert sync.log.read_text().count("events are lost") == 1
