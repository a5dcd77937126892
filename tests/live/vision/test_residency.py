"""Which models are in memory, seen from outside."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.live.processes import eventually, fetch
from tests.live.vision.asking import echo
from tests.live.vision.processes import Triton, Vision, write_echo

pytestmark = pytest.mark.live


def test_a_model_is_loaded_once_however_many_wait_and_brings_its_steps(vision: Vision) -> None:
    fetch(f"{vision.url}/v2/repository/models/whole/unload", {})
    fetch(f"{vision.url}/v2/repository/models/step/unload", {})
    before = vision.logged("loaded whole"), vision.logged("loaded step")
    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(lambda _: echo(vision, 1, model="whole")[0], range(4)))
    assert statuses == [200] * 4
    assert (vision.logged("loaded whole"), vision.logged("loaded step")) == (before[0] + 1, before[1] + 1)
    status, body = fetch(f"{vision.url}/v2/repository/models/step/unload", {})
    assert status == 409
    assert b"step of whole" in body


def test_a_model_that_cannot_be_loaded_says_why_and_is_not_tried_at_every_request(vision: Vision) -> None:
    status, body = echo(vision, 1, model="broken")
    tries = vision.logged("model broken cannot be loaded")
    again = echo(vision, 1, model="broken")
    assert (status, again[0]) == (503, 503)
    assert "the weights are missing" in body["error"]
    assert vision.logged("model broken cannot be loaded") == tries


def test_an_idle_model_is_unloaded_with_its_steps_or_to_make_room_and_comes_back_when_asked(
    triton: Triton, folder: Path
) -> None:
    own = Triton(triton.repository, folder)
    vision = Vision(own, folder, MODEL_IDLE_SECONDS="1", MODEL_REPOSITORY_MODELS="2").wait_ready()
    try:
        assert echo(vision, 1, model="echo")[0] == 200
        assert echo(vision, 1, model="whole")[0] == 200  # with its step, it takes the places of all others
        assert vision.logged("unloading echo")
        eventually(lambda: vision.logged("unloading whole") and vision.logged("unloading step"), "both unloaded")
        assert fetch(f"{vision.url}/v2/models/whole/ready")[0] == 200
        assert echo(vision, 2, model="whole")[1]["outputs"][0]["data"] == [2]
        status, _ = echo(vision, 2.5, model="slow")
        assert status == 200
    finally:
        vision.stop()
        own.stop()


def test_a_folder_that_is_dropped_in_is_served_at_once(vision: Vision, triton: Triton) -> None:
    assert echo(vision, 1, model="newcomer")[0] == 404
    write_echo(triton.repository / "newcomer")
    assert echo(vision, 3, model="newcomer")[1]["outputs"][0]["data"] == [3]
