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
        gateway_readiness="/readyz",
        control="",
        processes=processes,
    )


def test_a_written_run_is_read_as_it_was(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path)
    run = run_of(Identity(1, 2), chat=Identity(3, 4))
    directory.write(run)
    assert directory.read() == run


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


def test_a_large_log_is_put_aside(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path)
    directory.make()
    with directory.log("chat").open("wb") as log:
        log.truncate(17 * 1024 * 1024)
    directory.make()
    assert not directory.log("chat").exists()
    assert (directory.logs / "chat.log.1").exists()
