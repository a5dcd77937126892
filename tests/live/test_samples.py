"""Samples: what a newcomer drops in is served and called by official clients, or it is said what is wrong.

The digits of scikit-learn are in test_model_command.py. Each sample is broken in ten ways and more in the corpus
(tests/switchyard/repository/corpus); here once, while it is served.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
import tritonclient.http as triton_http

from tests.live.platform import Platform
from tests.live.processes import DEADLINE, KEY, eventually, fetch
from tests.switchyard.repository.corpus import ensembles
from tests.switchyard.repository.corpus.case import Case
from tests.switchyard.repository.corpus.chat_good import chat, shipped
from tests.switchyard.repository.huggingface.models import edit

pytestmark = pytest.mark.live

FLOWERS = {case.name: case for case in ensembles.CASES if case.name in ("normalize", "classify", "label", "flowers")}
MEASURES = np.array([[5.1, 3.5, 1.4, 0.2], [6.0, 2.7, 4.2, 1.3], [6.3, 3.3, 6.0, 2.5]], np.float32)
QUESTION = "Ana has 3 apples and gets 4 more. How many apples does Ana have?"
TEXTS = ["A cat sat on the mat.", "A kitten rested on the rug.", "Interest rates rose again."]


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform that runs in a project without any model."""
    folder = tmp_path_factory.mktemp("samples")
    for group in ("vision", "llm"):
        (folder / "project" / "model-repository" / group).mkdir(parents=True)
    platform = Platform(folder, window="600s", root=folder / "project")
    try:
        platform.up()
        yield platform
        platform.down()
    finally:
        platform.close()


@pytest.fixture
def sdk(newcomer: Platform) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{newcomer.url}/v1", api_key=KEY, max_retries=0, timeout=DEADLINE) as client:
        yield client


def drop(platform: Platform, case: Case) -> Path:
    """Copy a folder in, as `cp -r` does."""
    folder = platform.root / "model-repository" / case.group / case.name
    folder.mkdir()
    case.build(folder)
    return folder


def row(platform: Platform, name: str) -> dict[str, Any]:
    """What /v1/models says of a model, empty if it does not list it."""
    rows = json.loads(fetch(f"{platform.url}/v1/models")[1])["data"]
    found: dict[str, Any] = next((row for row in rows if row["id"] == name), {})
    return found


def served(platform: Platform, name: str) -> None:
    eventually(lambda: row(platform, name).get("state") in ("asleep", "waking", "ready"), f"{name} is listed")


def told(platform: Platform, name: str, *words: str) -> None:
    """Wait until what is wrong with a model's newest content is said to clients."""

    def is_told() -> bool:
        return all(word in str(row(platform, name).get("reason", "")) for word in words)

    eventually(is_told, f"{name} says {words}, not {row(platform, name)}")


def test_an_ensemble_of_three_steps(newcomer: Platform) -> None:
    folders = {name: drop(newcomer, case) for name, case in FLOWERS.items()}
    for name in FLOWERS:
        served(newcomer, name)
    body = {"inputs": [{"name": "measures", "datatype": "FP32", "shape": [1, 4], "data": MEASURES[0].tolist()}]}
    url = f"{newcomer.url}/v2/models/flowers/infer"
    curl = ["curl", "-sS", "--max-time", str(DEADLINE), url, "-H", "content-type: application/json"]
    done = subprocess.run([*curl, "-d", json.dumps(body)], capture_output=True, text=True, timeout=DEADLINE, check=True)

    assert json.loads(done.stdout)["outputs"][0]["data"] == ["setosa"]
    assert labels(newcomer) == list(ensembles.CLASSES)

    config = folders["flowers"] / "config.pbtxt"
    config.write_text(config.read_text().replace('"classify"', '"clasify"'))
    told(newcomer, "flowers", "'clasify'", "write 'classify'")
    assert labels(newcomer) == list(ensembles.CLASSES)  # what was good is served on


def labels(platform: Platform) -> list[str]:
    """What the ensemble says of three flowers, by Triton's client over HTTP."""
    target = platform.url.removeprefix("http://")
    with triton_http.InferenceServerClient(target, network_timeout=DEADLINE) as client:
        measures = triton_http.InferInput("measures", list(MEASURES.shape), "FP32")
        measures.set_data_from_numpy(MEASURES)
        found = client.infer("flowers", [measures]).as_numpy("label").reshape(-1)
    return [text.decode() for text in found]


def test_a_sentence_embedding_model_under_another_name(newcomer: Platform, sdk: openai.OpenAI) -> None:
    folder = drop(newcomer, Case(name="sentences", group="llm", build=shipped("embed")))
    served(newcomer, "sentences")
    vectors = np.array([one.embedding for one in sdk.embeddings.create(model="sentences", input=TEXTS).data])

    near, far = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert vectors.shape == (3, 384)
    assert near > far + 0.3

    edit("1_Pooling/config.json", word_embedding_dimension=768)(folder)
    told(newcomer, "sentences", "1_Pooling/config.json", "copy both of one model")
    assert len(sdk.embeddings.create(model="sentences", input="again").data[0].embedding) == 384


def test_the_chat_model_under_another_name_with_other_defaults(newcomer: Platform, sdk: openai.OpenAI) -> None:
    build = chat(edit("generation_config.json", max_new_tokens=3, temperature=0.0))
    folder = drop(newcomer, Case(name="chat-terse", group="llm", build=build))
    served(newcomer, "chat-terse")

    assert tokens(sdk) <= 3
    (folder / "chat_template.jinja").write_text("{{ raise_exception('closed') }}")
    told(newcomer, "chat-terse", "chat_template.jinja", "correct the template")
    assert tokens(sdk) <= 3


def tokens(sdk: openai.OpenAI) -> int:
    """How many tokens a response has when the request does not say."""
    asked = sdk.chat.completions.create(model="chat-terse", messages=[{"role": "user", "content": QUESTION}])
    assert asked.usage
    return asked.usage.completion_tokens
