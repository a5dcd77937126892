import json
from pathlib import Path

import pytest

from predictors.llm.quantization import four_bit_method
from switchyard.settings import SettingsError


def model(folder: Path, **config: object) -> Path:
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_cuda_quantizes_full_precision_weights_while_loading(tmp_path: Path) -> None:
    assert four_bit_method(model(tmp_path), "cuda") == "bitsandbytes"


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_checkpoint_that_is_already_quantized_names_its_own_method(tmp_path: Path, device: str) -> None:
    folder = model(tmp_path, quantization_config={"quant_method": "awq"})
    assert four_bit_method(folder, device) is None  # type: ignore[arg-type]


def test_a_cpu_rejects_and_says_which_devices_can_and_what_else_to_do(tmp_path: Path) -> None:
    else_to_do = r"already quantized \(for a CPU compressed-tensors in W8A8\)"
    with pytest.raises(SettingsError, match=rf"needs an NVIDIA GPU with CUDA.*{else_to_do}"):
        four_bit_method(model(tmp_path), "cpu")
