"""What a verdict depends on beside the folder."""

from pathlib import Path
from typing import cast

from switchyard.repository.inspection import Device
from switchyard.sync.folders import ModelKey
from switchyard.sync.model import Parts
from switchyard.sync.reserved import ReservedNames
from switchyard.sync.syncer import Syncer

H200 = Device(kind="cuda", name="NVIDIA H200", memory=120 << 30, compute_capability=(9, 0))


def test_vision_models_are_judged_for_the_cpu_beside_language_models_on_a_gpu(tmp_path: Path) -> None:
    syncer = Syncer(cast("Parts", None), reserved=ReservedNames(tmp_path / "reserved.json"), device=H200)

    assert syncer.surroundings(ModelKey("llm", "chat")).device == H200
    assert syncer.surroundings(ModelKey("vision", "digits")).device == Device()
