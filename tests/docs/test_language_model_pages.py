"""Who follows the pages on language models and signatures gets a model that is checked, added and verified."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.following import blocks
from tests.docs.pages import ROOT
from tests.docs.test_how_to import HOW_TO


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project without models, and a model beside."""
    (tmp_path / "model-repository").mkdir()
    shutil.copytree(ROOT / "model-repository/llm/chat-fast", tmp_path / "my-chat")
    return tmp_path


def shell(project: Path, *commands: str, status: int = 0) -> str:
    """Run commands in one shell, as a reader types them; return what they print."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    known = {name: value for name, value in os.environ.items() if not name.startswith("SWITCHYARD_")}
    done = subprocess.run(
        ("bash", "-ec", "\n".join(commands)),
        cwd=project,
        env={**known, "PYTHONPATH": str(ROOT), "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def commands_of(page: str) -> list[str]:
    return [block.text for block in blocks(HOW_TO / page) if block.language == "sh"]


def test_the_model_of_the_page_is_checked_and_added(project: Path) -> None:
    check, add, _ = commands_of("add-a-language-model.md")
    printed = shell(project, check, add)
    assert "LlamaForCausalLM" in printed
    assert (project / "model-repository/llm/chat-support/config.json").is_file()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the page makes its keys by openssl")
def test_the_model_of_the_page_is_signed_and_a_change_is_found(project: Path) -> None:
    keys, sign, check, sign_all = commands_of("sign-a-model.md")
    assert "release" in shell(project, keys, sign, check)
    for model in ("llm/chat-fast", "vision/image-decode"):
        shutil.copytree(ROOT / "model-repository" / model, project / "model-repository" / model)
    own = check.replace("my-chat", "model-repository/llm/chat-fast")
    assert "model.sig is missing" in shell(project, own, status=1)
    assert "release" in shell(project, sign_all, own)
    assert (project / "model-repository/vision/image-decode/model.sig").is_file()
    (project / "my-chat/generation_config.json").write_text("{}")
    assert "'generation_config.json' was changed" in shell(project, check, status=1)
    (project / "my-chat/model.sig").unlink()
    assert "model.sig is missing, and only signed models are served here" in shell(project, check, status=1)
