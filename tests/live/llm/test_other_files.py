"""What is served is the folder that was judged, whatever its files name beside it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from tests.live.processes import MODELS, Predictor, Preload

pytestmark = pytest.mark.live


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(MODELS / "chat-fast", tmp_path / "chat-fast")


def test_files_of_mistrals_format_are_not_read(preload: Preload, folder: Path) -> None:
    with safe_open(folder / "model.safetensors", "np") as weights:
        index = {"metadata": {}, "weight_map": dict.fromkeys(weights.keys(), "model.safetensors")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    save_file({"of another model": np.zeros(1)}, folder / "consolidated.safetensors")
    for name in ("params.json", "tekken.json"):
        (folder / name).write_text("no model")
    predictor = Predictor(preload, "chat-fast", f"--model_dir={folder}").wait_ready()
    predictor.stop()


def test_a_verifier_elsewhere_is_not_served_in_place_of_the_folder(preload: Preload, folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    verifier = {"name_or_path": str(MODELS / "chat-reasoning")}
    speculators = {"verifier": verifier, "proposal_methods": [{"speculative_tokens": 1}]}
    named = {"speculators_model_type": "eagle3", "speculators_config": speculators, "transformer_layer_config": config}
    (folder / "config.json").write_text(json.dumps({**config, **named}))
    predictor = Predictor(preload, "chat-fast", f"--model_dir={folder}")
    assert predictor.exit() == 2
    assert f"vLLM would load the model {MODELS / 'chat-reasoning'} in place of {folder}" in predictor.tail()
