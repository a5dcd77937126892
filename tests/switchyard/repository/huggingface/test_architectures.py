"""Models of common architectures pass as transformers saves them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from switchyard.repository.huggingface.inspector import inspect
from switchyard.repository.inspection import Surroundings
from switchyard.repository.verdict import FaultCode
from tests.switchyard.repository.huggingface.models import REPOSITORY, edit
from tests.switchyard.repository.huggingface.tiny_models import ARCHITECTURES

pytestmark = pytest.mark.live  # transformers and torch make the models: 15 s


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    command = (sys.executable, "-m", "tests.switchyard.repository.huggingface.tiny_models", folder)
    subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parents[4])
    for name in ARCHITECTURES:
        for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            shutil.copy(REPOSITORY / "chat-fast" / file, folder / name)
    return folder


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_model_passes_as_it_is_saved(name: str, folder: Path) -> None:
    found = inspect(folder / name, Surroundings())
    assert found.faults == ()
    assert found.facts is not None
    assert found.facts.architecture == name
    assert found.facts.kind == ("llm" if name.endswith(("ForCausalLM", "LMHeadModel")) else "embedding")
    assert found.facts.context_length == 512


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_another_size_in_the_configuration_is_found(name: str, folder: Path, tmp_path: Path) -> None:
    changed = shutil.copytree(folder / name, tmp_path / name)
    edit("config.json", vocab_size=2048)(changed)
    assert inspect(changed, Surroundings()).faults[0].code is FaultCode.WEIGHTS
