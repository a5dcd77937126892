"""The whole program on real folders: what a person does to them, and what engines and people see then."""

import json
import shutil
import urllib.request
from pathlib import Path

import pytest
from onnx import TensorProto, helper

from switchyard.repository.judging import landlock
from switchyard.repository.sources.origin import Origin
from switchyard.repository.status import RepositoryStatus
from switchyard.repository.verdict import FaultCode
from tests.ports import free_port
from tests.switchyard.repository import onnx_models
from tests.switchyard.repository.corpus import python_models
from tests.switchyard.sync.program import Program


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Return where a test makes models before it copies them."""
    return tmp_path / "made"


def test_a_folder_goes_from_dropped_over_changed_and_broken_to_removed(tmp_path: Path, models: Path) -> None:
    with Program(tmp_path) as sync:
        folder = sync.source / "vision/digits"
        shutil.copytree(onnx_models.relu(models / "good"), folder)
        first = sync.wait_for("digits", "published")
        assert first.facts is not None
        assert first.digest in str(sync.target("vision", "digits"))

        onnx_models.relu(folder, width=7)
        second = sync.wait_for("digits", "published", other_than=first.digest)
        served = sync.target("vision", "digits")
        assert second.digest in str(served)

        # It can be loaded and run, but gives another type than config.pbtxt says.
        onnx_models.save(
            folder, [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.INT64)], width=7, output=TensorProto.INT64
        )
        broken = sync.wait_for("digits", "failed")
        assert broken.code is FaultCode.GRAPH
        assert "TYPE_INT64" in broken.reason
        assert (broken.digest, broken.facts) == (second.digest, second.facts)
        assert sync.target("vision", "digits") == served

        onnx_models.relu(folder, width=7)
        mended = sync.wait_for("digits", "published")
        assert mended.digest == second.digest

        shutil.rmtree(folder)
        sync.wait(lambda: sync.status("digits") is None)
        assert sync.target("vision", "digits") is None


def test_a_start_with_nothing_changed_judges_and_publishes_nothing(tmp_path: Path, models: Path) -> None:
    sync = Program(tmp_path)
    for name in ("one", "two"):
        shutil.copytree(onnx_models.relu(models / name), sync.source / "vision" / name)
    with sync:
        before = {name: sync.wait_for(name, "published") for name in ("one", "two")}
    record = sync.published / ".objects/vision/one" / f"{before['one'].digest}.json"
    stamp = record.stat().st_mtime_ns
    (sync.published / "status.json").unlink()
    with sync:
        assert sync.wait_for("one", "published").seconds == before["one"].seconds  # as told then, not measured now
        assert sync.wait_for("two", "published").seconds == before["two"].seconds
    assert record.stat().st_mtime_ns == stamp


def test_a_folder_says_where_it_was_downloaded_from_also_after_a_start(tmp_path: Path, models: Path) -> None:
    sync = Program(tmp_path)
    folder = shutil.copytree(onnx_models.relu(models / "one"), sync.source / "vision" / "one")
    Origin(uri="hf://lab/one", revision="abc", listing="").write(folder)
    for _ in range(2):
        with sync:
            status = sync.wait_for("one", "published")
            assert (status.source, status.revision) == ("hf://lab/one", "abc")


def test_the_last_good_content_stays_over_a_start_with_a_broken_one(tmp_path: Path, models: Path) -> None:
    sync = Program(tmp_path)
    folder = shutil.copytree(onnx_models.relu(models / "good"), sync.source / "vision/digits")
    with sync:
        good = sync.wait_for("digits", "published")
    (folder / "1/model.onnx").write_bytes(b"no model")
    with sync:
        failed = sync.wait_for("digits", "failed")
        assert failed.digest == good.digest
        assert good.digest in str(sync.target("vision", "digits"))


@pytest.mark.skipif(landlock.version() < 1, reason="without Landlock no code of a model is run")
def test_a_new_version_in_python_that_does_not_load_leaves_the_one_before(tmp_path: Path) -> None:
    sync = Program(tmp_path)
    folder = sync.source / "vision/double"
    with sync:
        python_models.code()(folder)
        good = sync.wait_for("double", "published")
        (folder / "2").mkdir()
        (folder / "2/model.py").write_text(python_models.CODE.format(load="raise ValueError('no weights')", run="pass"))
        failed = sync.wait_for("double", "failed")
        assert failed.reason.startswith("'2/model.py', line 9, fails when the model is loaded (ValueError: no weights)")
        assert good.digest in str(sync.target("vision", "double"))


def test_a_folder_that_went_while_nobody_looked_is_not_published_at_the_next_start(
    tmp_path: Path, models: Path
) -> None:
    sync = Program(tmp_path)
    folder = shutil.copytree(onnx_models.relu(models / "good"), sync.source / "vision/digits")
    with sync:
        sync.wait_for("digits", "published")
    shutil.rmtree(folder)
    with sync:
        sync.wait(lambda: sync.target("vision", "digits") is None)


def test_a_model_that_is_copied_slowly_is_waited_for(tmp_path: Path, models: Path) -> None:
    made = onnx_models.relu(models / "good")
    with Program(tmp_path) as sync:
        folder = sync.source / "vision/digits"
        folder.mkdir(parents=True)
        shutil.copy(made / "config.pbtxt", folder)
        copied = sync.wait_for("digits", "copying")
        assert not copied.reason or copied.reason.startswith("its folder is still being copied; so far: ")
        shutil.copytree(made / "1", folder / "1")
        sync.wait_for("digits", "published")


def test_two_folders_do_not_share_a_name_nor_take_that_of_a_service(tmp_path: Path, models: Path) -> None:
    reserved = tmp_path / "reserved.json"
    reserved.write_text(json.dumps({"complexity": "InferenceService complexity"}))
    with Program(tmp_path, "--reserved", str(reserved)) as sync:
        made = onnx_models.relu(models / "good")
        shutil.copytree(made, sync.source / "vision/digits")
        sync.wait_for("digits", "published")
        (sync.source / "llm/digits").mkdir(parents=True)
        shutil.copytree(made, sync.source / "vision/complexity")
        taken = sync.wait_for("complexity", "failed")
        assert taken.code is FaultCode.NAME
        assert "InferenceService complexity" in taken.reason
        sync.wait(lambda: any(s.group == "llm" and s.code is FaultCode.NAME for s in sync.statuses()))
        assert sync.target("vision", "digits")
        # Names that become free can be had.
        reserved.write_text("{}")
        sync.wait_for("complexity", "published")


def test_a_name_that_cannot_be_one_is_told_and_stops_nobody(tmp_path: Path, models: Path) -> None:
    sync = Program(tmp_path)
    shutil.copytree(onnx_models.relu(models / "good"), sync.source / "vision/digits")
    for name in (b"My Model", b"\xff\xfe", b"x" * 255):
        (sync.source / "vision" / name.decode(errors="surrogateescape")).mkdir()
    with sync:
        sync.wait_for("digits", "published")
        assert sync.wait_for("My Model", "failed").code is FaultCode.NAME
        sync.wait(lambda: sum(status.code is FaultCode.NAME for status in sync.statuses()) == 3)


def test_a_second_program_for_the_same_folder_says_that_there_is_one(tmp_path: Path) -> None:
    with Program(tmp_path) as sync:
        sync.wait(lambda: (sync.published / "status.json").exists())
        second = Program(tmp_path)
        second.start()
        assert second.exit_code() == 1
        assert "another process" in second.log.read_text()


def test_sigterm_ends_it_at_once_with_success(tmp_path: Path) -> None:
    sync = Program(tmp_path)
    sync.start()
    sync.wait(lambda: (sync.published / "status.json").exists())
    assert sync.stop() == 0


def test_its_port_says_what_is_published_and_how_long_that_took(tmp_path: Path, models: Path) -> None:
    port = free_port()
    with Program(tmp_path, "--http_port", str(port)) as sync:
        shutil.copytree(onnx_models.relu(models / "good"), sync.source / "vision/digits")
        (sync.source / "vision/My Model").mkdir()
        sync.wait_for("digits", "published")
        sync.wait_for("My Model", "failed")

        def get(path: str) -> str:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as response:
                return str(response.read().decode())

        assert get("/healthz") == "ok\n"
        assert RepositoryStatus.loads(get("/status")).find("vision", "digits") == sync.status("digits")
        # The port is told after the file.
        sync.wait(lambda: 'repository_models_published{group="vision"} 1.0' in get("/metrics"))
        metrics = get("/metrics")
        assert 'repository_verdicts_total{code="name",group="vision"} 1.0' in metrics
        assert 'repository_verdicts_total{code="ok",group="vision"} 1.0' in metrics
        assert 'model_load_time_seconds{model="digits",phase="smoke"}' in metrics
        shutil.rmtree(sync.source / "vision/digits")
        sync.wait(lambda: 'model="digits"' not in get("/metrics"))


ENSEMBLE = """platform: "ensemble"
max_batch_size: 8
input { name: "in" data_type: TYPE_FP32 dims: [4] }
output { name: "out" data_type: TYPE_FP32 dims: [4] }
ensemble_scheduling {
  step [{
    model_name: "digits"
    model_version: -1
    input_map { key: "x" value: "in" }
    output_map { key: "y" value: "out" }
  }]
}
"""


def test_an_ensemble_is_judged_again_whenever_a_model_that_it_calls_comes_changes_or_goes(
    tmp_path: Path, models: Path
) -> None:
    with Program(tmp_path) as sync:
        (sync.source / "vision/whole/1").mkdir(parents=True)
        (sync.source / "vision/whole/config.pbtxt").write_text(ENSEMBLE)
        assert sync.wait_for("whole", "failed").code is FaultCode.ENSEMBLE
        folder = shutil.copytree(onnx_models.relu(models / "good"), sync.source / "vision/digits")
        good = sync.wait_for("whole", "published")
        onnx_models.relu(folder, width=5)
        broken = sync.wait_for("whole", "failed")
        assert (broken.code, broken.digest) == (FaultCode.ENSEMBLE, good.digest)
        onnx_models.relu(folder)
        sync.wait_for("whole", "published")
        shutil.rmtree(folder)
        sync.wait_for("whole", "failed")


def test_a_language_model_is_published_with_its_facts(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[3] / "model-repository/llm/chat-fast"
    with Program(tmp_path) as sync:
        shutil.copytree(shipped, sync.source / "llm/assistant")
        facts = sync.wait_for("assistant", "published").facts
        assert facts is not None
        assert facts.kind == "llm"
        assert (sync.published / "llm/assistant/config.json").is_file()


def test_what_lies_where_no_model_can_be_is_told_until_it_is_gone(tmp_path: Path, models: Path) -> None:
    graph = onnx_models.relu(models / "good") / "1/model.onnx"
    with Program(tmp_path) as sync:
        (sync.source / "vision").mkdir()
        stray = sync.source / "vision/digits.onnx"
        shutil.copyfile(graph, stray)
        told = sync.wait_for("digits.onnx", "failed")
        assert told.code is FaultCode.MISPLACED
        assert told.reason.endswith("put it at incoming/vision/digits/1/model.onnx.")
        assert told.reason in sync.log.read_text()
        place = sync.source / "vision/digits/1/model.onnx"
        place.parent.mkdir(parents=True)
        stray.rename(place)
        sync.wait_for("digits", "published")
        sync.wait(lambda: sync.status("digits.onnx") is None)
