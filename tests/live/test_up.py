"""``switchyard up`` and its companions as a person at two terminals uses them."""

import json
import os
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.live.platform import GRAPHS, LANGUAGE_MODELS, SWITCHYARD, VISION_MODELS, Platform
from tests.live.processes import DEADLINE, ROOT, alive, eventually

pytestmark = pytest.mark.live


def curl_lines(printed: str) -> list[str]:
    return [line.strip() for line in printed.splitlines() if line.startswith("  curl ")]


def shell(line: str) -> str:
    """What a line prints when it is pasted into a shell."""
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_printed_lines_give_answers_when_a_shell_runs_them(platform: Platform) -> None:
    models, chat, embedding = curl_lines(platform.printed)
    assert {row["id"] for row in json.loads(shell(models))["data"]} == {*LANGUAGE_MODELS, *VISION_MODELS, *GRAPHS}
    streamed = shell(chat)
    assert streamed.rstrip().endswith("data: [DONE]"), streamed
    assert '"content"' in streamed
    assert '"error"' not in streamed
    assert len(json.loads(shell(embedding))["data"][0]["embedding"]) == 384


def test_the_last_printed_line_names_commands_that_exist(platform: Platform) -> None:
    for command in platform.printed.rstrip().splitlines()[-1].split("|"):
        name = shlex.split(command)[1]
        assert platform.command(name, "--help").returncode == 0


def test_a_second_up_says_where_the_first_runs_and_disturbs_nothing(platform: Platform) -> None:
    before = platform.processes()
    rejected = platform.command("up", str(platform.overlay))
    assert rejected.returncode == 1
    assert "switchyard is already running" in rejected.stderr
    assert "switchyard down" in rejected.stderr
    assert platform.url in rejected.stderr
    again = platform.command("up", str(platform.overlay), "--detach")
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines()[0] == f"{platform.overlay} runs already."
    assert curl_lines(again.stdout) == curl_lines(platform.printed)
    assert platform.processes() == before
    assert platform.model("chat-fast")


def test_status_shows_every_process_and_its_last_start(platform: Platform) -> None:
    shell(curl_lines(platform.printed)[1])
    told = platform.command("status")
    assert told.returncode == 0, told.stderr
    rows = {line.split()[0]: line for line in told.stdout.splitlines() if line.strip()}
    assert platform.url in told.stdout
    assert {"chat-fast", "chat-reasoning", "embed", "gateway", "preload"} <= rows.keys()
    assert rows["preload"].split()[1] == "ready"
    assert rows["chat-fast"].split()[1] == "ready"
    assert str(platform.row("chat-fast")["pid"]) in rows["chat-fast"]
    assert "warm-up" in rows["chat-fast"]
    assert rows["chat-reasoning"].split()[1] == "asleep"


@pytest.mark.parametrize(
    ("name", "words"), [("gateway", "serving"), ("preload", "ready to fork"), ("chat-fast", "warm-up done")]
)
def test_logs_prints_what_a_process_said_in_json(platform: Platform, name: str, words: str) -> None:
    shell(curl_lines(platform.printed)[1])
    told = platform.command("logs", name)
    assert told.returncode == 0, told.stderr
    lines = [json.loads(line) for line in told.stdout.splitlines() if line.startswith("{")]
    assert all({"time", "level", "message"} <= line.keys() for line in lines)
    assert words in [line["message"] for line in lines]


def test_logs_of_an_unknown_name_lists_those_that_there_are(platform: Platform) -> None:
    rejected = platform.command("logs", "nobody")
    assert rejected.returncode == 1
    assert "gateway" in rejected.stderr
    assert "supervisor" in rejected.stderr


def test_logs_follow_shows_what_is_written_later(platform: Platform) -> None:
    with terminal(platform, "logs", "-f", "preload") as following:
        assert following.stdout is not None
        assert following.stdout.readline()
        with (platform.state / "logs" / "preload.log").open("a") as log:
            log.write("written later\n")
        assert any("written later" in line for line in following.stdout)


def test_a_run_in_one_terminal_is_stopped_from_another(tmp_path: Path) -> None:
    platform = Platform(tmp_path, window="600s")
    try:
        with terminal(platform, "up", str(platform.overlay)) as first:
            assert first.stdout is not None
            assert any(line.startswith("Serving at") for line in first.stdout), platform.logs()
            pids = platform.processes()
            assert first.pid in pids
            told = platform.command("down")
            assert (told.returncode, told.stdout) == (0, "stopped\n"), told.stderr
            assert first.wait(10) == 0
        assert not any(map(alive, pids))
        assert platform.processes() == []
        assert platform.command("down").stdout == "nothing was running\n"
        rejected = platform.command("status")
        assert rejected.returncode == 1
        assert "switchyard up" in rejected.stderr
    finally:
        platform.close()


def test_ctrl_c_ends_a_run_and_leaves_nothing(tmp_path: Path) -> None:
    platform = Platform(tmp_path, window="600s")
    try:
        with terminal(platform, "up", str(platform.overlay)) as first:
            assert first.stdout is not None
            assert any(line.startswith("Serving at") for line in first.stdout), platform.logs()
            os.killpg(first.pid, signal.SIGINT)
            first.stdout.read()
            assert first.wait(30) == 0, platform.logs()
        eventually(lambda: not platform.processes(), "nothing runs any more")
    finally:
        platform.close()


@contextmanager
def terminal(platform: Platform, *argv: str) -> Iterator[subprocess.Popen[str]]:
    """``switchyard argv…`` in the foreground of a terminal of its own, both outputs in one."""
    with subprocess.Popen(
        [str(SWITCHYARD), *argv],
        cwd=ROOT,
        env=platform.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()
