"""kill -9 of each process under load: no request is left without a whole answer or a clear error, and all recovers."""

import os
import signal

import pytest

from tests.live.load import CLIENTS, Load, answered_since
from tests.live.platform import Platform, http_client
from tests.live.processes import alive, descendants, eventually

pytestmark = pytest.mark.live

MODEL = "chat-fast"


# What a client meets at a door that closes: of its request, or of the connection that it kept, nothing was taken.
NOT_BEGUN = (
    "ConnectError",
    "ReadError",
    "WriteError",
    "RemoteProtocolError('Server disconnected without sending",
    "503",
)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def kill_under_load(platform: Platform, victim: str) -> Load:
    """Kills the ``victim`` while requests are answered, waits until they are again, and returns what they met."""
    name = "gateway" if victim == "gateway" else MODEL
    with Load(platform, MODEL) as load:
        eventually(answered_since(load), "answers before the kill")
        before = platform.row(name)
        pid = descendants(before["pid"])[0] if victim == "engine" else before["pid"]
        kill(pid)
        eventually(lambda: not alive(pid), f"the end of the {victim}")
        eventually(lambda: platform.row(name)["starts"] > before["starts"], f"a new {name}")
        eventually(lambda: platform.row(name)["state"] == "ready", f"{name} is ready again")
        eventually(answered_since(load), "answers after the kill")
    assert platform.row(name)["pid"] != before["pid"]
    return load


# How many requests of each client may meet an error. A predictor's death ends what was in flight; what is asked then
# waits for the next process. One whose engine died rejects requests until it has noticed, and while the gateway is away
# nobody answers.
REJECTIONS = {"engine": 4, "predictor": 1, "gateway": 100}


@pytest.mark.parametrize("victim", REJECTIONS)
def test_a_kill_under_load_leaves_no_request_without_an_end_and_all_recovers(platform: Platform, victim: str) -> None:
    load = kill_under_load(platform, victim)
    assert load.seen.wrong == []
    assert len(load.seen.rejected) <= REJECTIONS[victim] * CLIENTS, load.seen.rejected


def test_a_killed_predictor_leaves_no_engine_behind(platform: Platform) -> None:
    with http_client(platform) as client:
        assert client.post("/v1/llm/chat", json={"prompt": "Hello", "max_tokens": 2}).status_code == 200
        family = [platform.row(MODEL)["pid"], *descendants(platform.row(MODEL)["pid"])]
        assert len(family) > 1
        kill(family[0])
        eventually(lambda: not any(map(alive, family)), "the end of the predictor's processes")
        assert client.post("/v1/llm/chat", json={"prompt": "Hello", "max_tokens": 2}).status_code == 200


def test_a_killed_supervisor_takes_everything_with_it_and_the_next_up_works(platform: Platform) -> None:
    with Load(platform, MODEL) as load:
        eventually(answered_since(load), "answers before the kill")
        family = platform.processes()
        supervisor = platform.record()["supervisor"]["pid"]
        assert supervisor in family
        assert len(family) >= 5  # supervisor, gateway, preloaded parent, predictor, engine
        kill(supervisor)
        eventually(lambda: not platform.processes(), "nothing is left of the run")
        eventually(lambda: len(load.seen.rejected) >= 4, "every client has met the end")
    assert load.seen.wrong == []
    assert "nothing runs here" in platform.command("status").stderr
    platform.up()
    with http_client(platform) as client:
        assert client.post("/v1/llm/chat", json={"prompt": "Hello", "max_tokens": 2}).status_code == 200


def test_down_under_load_breaks_nothing_off_and_leaves_nothing(platform: Platform) -> None:
    with Load(platform, MODEL) as load:
        eventually(answered_since(load), "answers before the end")
        platform.down()
        eventually(lambda: len(load.seen.rejected) >= 4, "every client has met the end")
    assert load.seen.wrong == []
    assert [what for what in load.seen.rejected if not what.startswith(NOT_BEGUN)] == []
