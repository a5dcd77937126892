import json
from pathlib import Path

from switchyard.local.processes.startlog import StartLog


def test_phases_are_those_that_were_written_since_the_start(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(json.dumps({"phase": "import", "seconds": 9}) + "\n")
    log = StartLog(path)
    with path.open("a") as out:
        out.write('plain\n{"phase": "load", "seconds": 1.5}\n{"phase": "odd", "seconds": 1}\n{"phase": "re')
    assert list(log.phases()) == [("load", 1.5)]
    with path.open("a") as out:
        out.write('ady", "seconds": 0}\n')
    assert list(log.phases()) == [("ready", 0.0)]
    log.close()


def test_what_cannot_be_used_is_told_in_one_line_until_it_is_solved(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = StartLog(path)
    assert log.problems() == ""
    with path.open("a") as out:
        out.write('plain "problem"\n{"message": "a request", "key": "\\"problem\\""}\n')
        out.write(json.dumps({"message": "the last stays: file cannot be used:\na: x\nb: y", "problem": "a"}) + "\n")
    assert log.problems() == "the last stays: file cannot be used: a: x; b: y"
    with path.open("a") as out:
        out.write('{"message": "other", "problem": "b"}\n{"message": "read", "solved": "a"}\n{"solved": "c"}\n')
    assert log.problems() == "other"
    log.close()


def test_the_reason_is_the_last_thing_said(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = StartLog(path)
    path.write_text('Traceback\n  File "x"\nValueError: no such model')
    assert log.reason() == "ValueError: no such model"
    log.close()


def test_the_reason_of_a_logged_exception_is_its_message_and_last_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = StartLog(path)
    path.write_text(json.dumps({"message": "cannot load", "traceback": "Traceback…\nOSError: disk"}) + "\n")
    assert log.reason() == "cannot load (OSError: disk)"
    log.close()
