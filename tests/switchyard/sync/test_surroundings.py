"""What a verdict depends on beside the folder."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from switchyard.repository.inspection import Device
from switchyard.sync.folders import ModelKey
from switchyard.sync.model import Model, Parts
from switchyard.sync.reserved import ReservedNames
from switchyard.sync.syncer import Syncer

H200 = Device(kind="cuda", name="NVIDIA H200", memory=120 << 30, compute_capability=(9, 0))


def test_vision_models_are_judged_for_the_cpu_beside_language_models_on_a_gpu(tmp_path: Path) -> None:
    syncer = Syncer(cast("Parts", None), reserved=ReservedNames(tmp_path / "reserved.json"), device=H200)

    assert syncer.surroundings(ModelKey("llm", "chat")).device == H200
    assert syncer.surroundings(ModelKey("vision", "digits")).device == Device()


def test_a_name_of_a_service_is_no_folders_though_another_has_it_too(tmp_path: Path) -> None:
    reserved = tmp_path / "reserved.json"
    reserved.write_text(json.dumps({"auto": "InferenceGraph auto", "vision/chat": "InferenceService chat"}))
    syncer = Syncer(cast("Parts", None), reserved=ReservedNames(reserved), device=H200)
    for key in (ModelKey("llm", "auto"), ModelKey("llm", "chat")):
        syncer._models[key] = cast("Model", SimpleNamespace(key=key, generation=None))
    names = {
        str(key): syncer.surroundings(key).names.get(key.name)
        for key in (ModelKey(group, name) for group in ("llm", "vision") for name in ("auto", "chat"))
    }
    assert names == {
        "llm/auto": "InferenceGraph auto",
        "llm/chat": None,
        "vision/auto": "InferenceGraph auto",
        "vision/chat": "InferenceService chat",
    }
