import os
from pathlib import Path

import pytest

from switchyard.local.errors import LocalError
from switchyard.local.processes import identities
from switchyard.local.processes.identities import Identity
from switchyard.local.status.run_directory import Run, StateDirectory, clean


def run_of(supervisor: Identity, **processes: Identity) -> Run:
    return Run(
        supervisor=supervisor,
        overlay="overlay",
        rendered="",
        run_id="no-process-has-this-mark",
        gateway="http://127.0.0.1:1",
        gateway_name="gateway",
        control="",
        processes=processes,
    )


def test_a_written_run_is_read_as_it_was(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path)
    run = run_of(Identity(1, 2), chat=Identity(3, 4))
    directory.write(run)
    assert directory.read() == run


def test_the_directory_is_its_owners_alone(tmp_path: Path) -> None:
    StateDirectory(tmp_path / "state").make()
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    StateDirectory(tmp_path).make()  # one that is there keeps its mode


def test_a_record_that_is_broken_is_no_run(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path)
    (tmp_path / "run.json").write_text('{"supervisor": 1}')
    assert directory.read() is None


def test_a_lock_is_held_once(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path)
    with directory.lock(), pytest.raises(LocalError, match="a run is just starting or ending here"):
        directory.lock()
    directory.write(run_of(Identity(1, 2)))
    with directory.lock(), pytest.raises(LocalError, match="already running with overlay"):
        directory.lock()
    with directory.lock():
        pass


def test_a_reused_process_id_is_another_process() -> None:
    me = identities.identify(os.getpid())
    assert me is not None
    assert me.alive()
    assert not Identity(me.pid, me.started - 1).alive()


def test_cleaning_leaves_processes_alone_that_only_have_a_recorded_number(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path)
    stale = Identity(os.getppid(), 1)
    directory.write(run_of(Identity(os.getpid(), 1), chat=stale))
    assert clean(directory) == 0
    assert directory.read() is None
    assert identities.identify(os.getppid()) is not None


def test_the_logs_of_four_earlier_runs_are_kept_apart(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path)
    for number in range(7):
        directory.begin_logs()
        assert not any(directory.logs.iterdir())
        directory.log("chat").write_text(str(number))
    assert [(folder / "chat.log").read_text() for folder in directory.runs()] == ["2", "3", "4", "5", "6"]
    assert directory.runs()[-1] == directory.logs


def test_a_second_supervisor_leaves_the_logs_of_the_first_alone(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path)
    with directory.lock():
        directory.log("chat").write_text("said")
        with pytest.raises(LocalError):
            directory.lock()
    assert directory.log("chat").read_text() == "said"
