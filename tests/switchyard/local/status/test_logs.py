"""What ``switchyard logs`` prints, from files."""

import json
import threading
import tracemalloc
from collections.abc import Generator
from pathlib import Path

import pytest

from switchyard.local.errors import LocalError
from switchyard.local.status import logs, rotation
from switchyard.local.status.run_directory import StateDirectory
from tests.switchyard.local.conftest import eventually


def record(second: int, message: str, **fields: str) -> str:
    return json.dumps({"time": f"2026-01-01T00:00:{second:02}.000+00:00", "message": message, **fields}) + "\n"


@pytest.fixture
def directory(tmp_path: Path) -> StateDirectory:
    made = StateDirectory(tmp_path)
    made.begin_logs()
    made.log("chat").write_text(record(9, "of the run before", request_id="abc"))
    made.begin_logs()
    made.log("gateway").write_text(record(1, "responded", request_id="abc") + record(4, "late", request_id="abcd"))
    made.log("chat").write_text(record(2, "loaded") + "Traceback\n  of chatcmpl-abc\n" + record(3, "done"))
    return made


def told(directory: StateDirectory, name: str | None = None, *, earlier: bool = False, **wanted: str) -> str:
    read = logs.lines(directory, name, earlier=earlier, follow=False, wanted=logs.Wanted(**wanted))
    return b"".join(read).decode()


def test_one_log_is_the_last_runs(directory: StateDirectory) -> None:
    assert told(directory, "chat") == directory.log("chat").read_text()


def test_a_line_that_is_still_being_written_is_printed_as_far_as_it_is_there(directory: StateDirectory) -> None:
    with directory.log("chat").open("a") as log:
        log.write("half")
    assert told(directory, "chat").endswith("\nhalf")


def test_earlier_runs_come_first_and_are_told_apart(directory: StateDirectory) -> None:
    text = told(directory, "chat", earlier=True)
    assert text.startswith("--- run 1 of 2\n" + record(9, "of the run before", request_id="abc") + "--- run 2 of 2\n")
    assert text.endswith(directory.log("chat").read_text())


def test_all_logs_are_merged_by_time_and_other_lines_follow_their_record(directory: StateDirectory) -> None:
    assert told(directory).splitlines() == [
        record(1, "responded", request_id="abc").strip(),
        record(2, "loaded").strip(),
        "Traceback",
        "  of chatcmpl-abc",
        record(3, "done").strip(),
        record(4, "late", request_id="abcd").strip(),
    ]


def test_a_request_is_followed_through_all_logs_by_its_whole_id(directory: StateDirectory) -> None:
    assert told(directory, request="abc").splitlines() == [
        record(1, "responded", request_id="abc").strip(),
        "  of chatcmpl-abc",
    ]
    assert told(directory, request="abc", earlier=True).startswith(record(9, "of the run before", request_id="abc"))
    assert told(directory, request="ab") == ""


TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"trace": TRACE}, ["one", "two"]),
        ({"tenant": "acme"}, ["one", "three"]),
        ({"tenant": "acm"}, []),
        ({"trace": TRACE, "tenant": "globex"}, ["two"]),
        ({"trace": TRACE, "tenant": "acme", "request": "abc"}, ["one"]),
    ],
)
def test_new_lines_are_printed_by_trace_and_by_tenant(
    directory: StateDirectory, wanted: dict[str, str], found: list[str]
) -> None:
    compact = json.dumps({"message": "three, which says acme", "tenant": "acme"}, separators=(",", ":"))
    directory.log("gateway").write_text(record(1, "one", request_id="abc", trace_id=TRACE, tenant="acme"))
    directory.log("chat").write_text(record(2, "two", trace_id=TRACE, tenant="globex") + compact + "\n")
    printed = told(directory, None, earlier=False, **wanted).splitlines()
    assert [json.loads(line)["message"].partition(",")[0] for line in printed] == found


def test_what_no_line_has_is_an_error_that_says_what_was_looked_for() -> None:
    wanted = logs.Wanted(request="r1", tenant="acme")
    assert "no line of the logs has the request id r1 and tenant acme; `" in str(logs.none_found(wanted, earlier=False))
    assert "logs --all --request r1 --tenant acme`" in str(logs.none_found(wanted, earlier=False))


def test_a_line_without_end_is_not_held_in_memory(directory: StateDirectory) -> None:
    with directory.log("chat").open("wb") as log:
        log.truncate(64 * 1024 * 1024)
    read = logs.lines(directory, "chat", earlier=False, follow=False, wanted=logs.Wanted(request="abc"))
    tracemalloc.start()
    try:
        assert list(read) == []
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_what_was_set_aside_of_a_long_log_comes_before_the_rest(directory: StateDirectory) -> None:
    rotation.set_aside(directory.log("chat"))
    with directory.log("chat").open("a") as log:
        log.write(record(5, "after"))
    assert told(directory, "chat").splitlines()[0] == record(2, "loaded").strip()
    assert told(directory, "chat").splitlines()[-1] == record(5, "after").strip()


def test_following_a_log_continues_after_its_rotation(directory: StateDirectory) -> None:
    seen = _tail(directory)
    with directory.log("chat").open("a") as log:
        log.write("before\n")
        log.flush()
        rotation.set_aside(directory.log("chat"))
        log.write("end\n")
    eventually(lambda: seen[4:] == [b"before\n", b"end\n"], "both sides of the cut are printed, once")


def test_a_log_that_only_an_earlier_run_has_is_found_by_all(directory: StateDirectory) -> None:
    directory.begin_logs()
    with pytest.raises(LocalError, match=r"chat has no log of the last run; .*logs --all chat`"):
        told(directory, "chat")
    assert "done" in told(directory, "chat", earlier=True)


@pytest.mark.parametrize("name", ["nobody", "../run", ""])
def test_a_name_without_a_log_is_an_error_that_lists_those_that_there_are(directory: StateDirectory, name: str) -> None:
    with pytest.raises(LocalError, match="there are: chat, gateway"):
        told(directory, name)


def test_a_model_that_another_process_serves_is_said_to_be_in_its_log(directory: StateDirectory) -> None:
    vision = {"ocr": "vision"}
    chosen = logs.lines(
        directory,
        "ocr",
        earlier=False,
        follow=False,
        wanted=logs.Wanted(),
        process_of=lambda model: vision.get(model, ""),
    )
    with pytest.raises(LocalError, match=r"^ocr is served by vision; `.* logs vision` prints"):
        next(chosen)


def test_no_logs_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="there are no logs yet"):
        told(StateDirectory(tmp_path))


def test_a_followed_log_is_followed_into_the_next_run(directory: StateDirectory) -> None:
    seen = _tail(directory)
    with directory.log("chat").open("a") as log:
        log.write("ha")
        log.flush()
        log.write("lf\n")
    eventually(lambda: seen[4:] == [b"half\n"], "lines are printed whole")
    directory.begin_logs()
    directory.log("chat").write_text("next run\nend\n")
    eventually(lambda: seen[5:] == [b"next run\n", b"end\n"], "the next run is followed")


def _tail(directory: StateDirectory) -> list[bytes]:
    """Follow a log; return the lines that are printed, to which more come."""
    seen: list[bytes] = []
    following = logs.lines(directory, "chat", earlier=False, follow=True, wanted=logs.Wanted())
    threading.Thread(target=_collect, args=(following, seen), daemon=True).start()
    eventually(lambda: len(seen) == 4, "what is there is printed")
    return seen


def _collect(following: Generator[bytes], seen: list[bytes]) -> None:
    for line in following:
        seen.append(line)
        if line == b"end\n":
            break
    following.close()
