"""Triton's log file: passed on line by line, searched for reasons, bounded."""

import logging
from pathlib import Path

import pytest

from predictors.vision.triton import triton_log
from predictors.vision.triton.triton_log import TritonLog

POLL = "E1129 00:02:02.239814 7826 model_repository_manager.cc:1460] \"Poll failed for model directory '{}': {}\"\n"
STARTED = 'I1128 23:55:54.846191 14413 grpc_server.cc:2558] "Started GRPCInferenceService at 127.0.0.1:38785"\n'


def add(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_the_reason_is_the_last_one_of_the_model_since_its_load_began(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = TritonLog(str(path))
    assert log.reason("a", log.size()) == ""
    add(path, POLL.format("a", "an old reason"))
    began = log.size()
    assert log.reason("a", began) == ""
    add(path, POLL.format("b", "another model") + POLL.format("a", "model input 'x' must specify 'dims' for a"))
    assert log.reason("a", began) == "model input 'x' must specify 'dims' for a"
    assert TritonLog("").reason("a", 0) == ""


def test_lines_are_passed_on_once_they_are_whole_with_their_level(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "log"
    add(path, "from an earlier run\n")
    log = TritonLog(str(path))
    with caplog.at_level(logging.INFO, "triton"):
        add(path, STARTED + POLL.format("a", "größer")[:-5])
        log.pass_on()
        add(path, POLL.format("a", "größer")[-5:] + "a table |\n")
        log.pass_on()
        log.pass_on()
        path.write_text("a new file\n")
        log.pass_on()
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("INFO", "Started GRPCInferenceService at 127.0.0.1:38785"),
        ("ERROR", "Poll failed for model directory 'a': größer"),
        ("INFO", "a table |"),
        ("INFO", "a new file"),
    ]


def test_a_large_file_is_emptied_once_all_of_it_was_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_log, "_MAX_BYTES", 10)
    path = tmp_path / "log"
    log = TritonLog(str(path))
    add(path, "0123456789\nan incomplete line")
    log.pass_on()
    assert log.size() > 10
    add(path, "\n")
    log.pass_on()
    assert log.size() == 0
    monkeypatch.setattr(triton_log, "_READ_BYTES", 5)
    add(path, "one line without end")
    for _ in range(4):
        log.pass_on()
    assert log.size() == 0
