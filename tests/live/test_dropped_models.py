"""Language models dropped into a platform that runs: served, swapped under load, told when broken, let go of."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.load import QUESTION, Load, answered_since
from tests.live.platform import Platform, http_client
from tests.live.processes import ROOT, alive, eventually, fetch

pytestmark = pytest.mark.live

OURS = ROOT / "model-repository/llm/chat-fast"


@pytest.fixture(scope="module")
def dropped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform that runs in a project of its own, where our chat model lies under a second name."""
    folder = tmp_path_factory.mktemp("dropped")
    for group in ("vision", "llm"):
        (folder / "project/model-repository" / group).mkdir(parents=True)
    platform = Platform(folder, window="600s", root=folder / "project")
    try:
        platform.up()
        drop(platform, "my-chat")
        eventually(lambda: state(platform, "my-chat") == "ready", "it is served")
        yield platform
        platform.down()
    finally:
        platform.close()


def drop(platform: Platform, name: str) -> Path:
    folder = platform.root / "model-repository/llm" / name
    shutil.copytree(OURS, folder, copy_function=shutil.copyfile)
    return folder


def state(platform: Platform, name: str) -> str:
    with http_client(platform) as client:
        response = client.get(f"/v1/models/{name}")
    return str(response.json()["state"]) if response.status_code == 200 else "unknown"


def answer(platform: Platform, name: str) -> str:
    body = {"model": name, "messages": [{"role": "user", "content": QUESTION}], "temperature": 0, "max_tokens": 16}
    with http_client(platform) as client:
        response = client.post("/v1/chat/completions", json=body)
    assert response.status_code == 200, response.text
    return str(response.json()["choices"][0]["message"]["content"])


def test_a_copy_of_our_model_is_listed_and_answers_under_its_own_name(dropped: Platform) -> None:
    listed = dropped.model("my-chat")
    assert (listed["kind"], listed["max_model_len"]) == ("llm", 2048)
    assert answer(dropped, "my-chat")


def test_new_content_takes_over_under_load_without_a_failed_request(dropped: Platform) -> None:
    folder = dropped.root / "model-repository/llm/my-chat"
    before = dropped.row("my-chat")
    with Load(dropped, "my-chat") as load:
        eventually(answered_since(load), "answers before")
        (folder / "README.md").write_text("---\nlicense: mit\n---\n\nA second content.\n")
        eventually(lambda: dropped.row("my-chat")["starts"] > before["starts"], "the next process")
        eventually(answered_since(load), "answers after")
        eventually(lambda: not alive(before["pid"]), "the one before has ended")

    assert (load.seen.wrong, load.seen.rejected) == ([], [])
    assert dropped.model("my-chat")["license"] == "mit"


def test_a_broken_edit_is_told_while_the_content_before_it_serves(dropped: Platform) -> None:
    weights = dropped.root / "model-repository/llm/my-chat/model.safetensors"
    whole, pid = weights.read_bytes(), dropped.row("my-chat")["pid"]
    weights.write_bytes(whole[: len(whole) // 2])
    eventually(lambda: "model.safetensors" in dropped.model("my-chat").get("reason", ""), "it is told")

    assert answer(dropped, "my-chat")
    assert dropped.row("my-chat")["pid"] == pid
    weights.write_bytes(whole)
    eventually(lambda: "reason" not in dropped.model("my-chat"), "the mended file is good")


def test_a_broken_folder_is_listed_with_its_sentence_and_disturbs_nobody(dropped: Platform) -> None:
    folder = dropped.root / "model-repository/llm/broken"
    shutil.copytree(OURS, folder, ignore=shutil.ignore_patterns("tokenizer*"))
    eventually(lambda: state(dropped, "broken") == "failed", "it has failed")

    assert "tokenizer" in dropped.model("broken")["reason"]
    assert answer(dropped, "my-chat")
    shutil.rmtree(folder)
    eventually(lambda: state(dropped, "broken") == "unknown", "it is not listed any more")


def test_it_is_unloaded_and_loaded_by_v2(dropped: Platform) -> None:
    url = f"{dropped.url}/v2/repository/models/my-chat"
    assert fetch(f"{url}/unload", {"parameters": {"unload_dependents": False}})[0] == 200
    eventually(lambda: state(dropped, "my-chat") == "asleep", "it sleeps")
    assert fetch(f"{url}/load", {})[0] == 200
    assert state(dropped, "my-chat") == "ready"


def test_a_supervisor_that_is_killed_in_the_middle_of_a_load_is_back_with_what_served(dropped: Platform) -> None:
    config = dropped.root / "model-repository/llm/my-chat/config.json"
    before = config.read_text()
    config.write_text(before.replace('"hidden_act": "silu"', '"hidden_act": "gelu"'))  # which the judge lets pass
    eventually(lambda: "Only silu" in dropped.model("my-chat").get("reason", ""), "vLLM rejects it")
    drop(dropped, "second")
    eventually(lambda: state(dropped, "second") == "waking", "it is being loaded")
    os.kill(dropped.record()["supervisor"]["pid"], signal.SIGKILL)
    eventually(lambda: not dropped.processes(), "its processes die with it")

    dropped.up()

    assert {state(dropped, name) for name in ("my-chat", "second")} == {"asleep"}
    assert answer(dropped, "second") == answer(dropped, "my-chat")
    assert "Only silu" in dropped.model("my-chat")["reason"]


def test_a_folder_that_is_removed_takes_its_model_with_it(dropped: Platform) -> None:
    shutil.rmtree(dropped.root / "model-repository/llm/my-chat")
    eventually(lambda: state(dropped, "my-chat") == "unknown", "it is gone")

    with http_client(dropped) as client:
        response = client.post("/v1/chat/completions", json={"model": "my-chat", "messages": []})
    assert response.status_code == 404
    assert answer(dropped, "second")
