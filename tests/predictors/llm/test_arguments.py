from pathlib import Path

import pytest

from predictors.llm.arguments import Arguments, parse
from switchyard.settings import SettingsError


def test_flags_that_are_not_ours_are_left_for_vllm(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    arguments = parse(["--model_name=m", f"--model_dir={tmp_path}", "--max-model-len=8", "--enforce-eager"], "/none")
    assert arguments.vllm == ("--max-model-len=8", "--enforce-eager")
    assert (arguments.http_port, arguments.grpc_port) == (8080, 0)


def test_without_a_folder_the_repository_is_searched_by_name(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text("{}")
    assert parse(["--model_name=m"], str(tmp_path)).model_dir == tmp_path / "m"


def test_a_folder_that_is_no_model_is_rejected_by_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--model_name=m", f"--model_dir={tmp_path}"], "/none")
    assert f"{tmp_path} holds no config.json: it is not in Hugging Face layout" in capsys.readouterr().err


def test_a_folder_whose_weights_were_not_fetched_says_how(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "weights.lock").touch()
    with pytest.raises(SystemExit):
        parse(["--model_name=m", f"--model_dir={tmp_path}"], "/none")
    assert "`make setup` fetches what its weights.lock names" in capsys.readouterr().err


def arguments_of(folder: str) -> Arguments:
    return Arguments(model_name="m", model_dir=Path(folder), http_port=0, grpc_port=0, vllm=())


def test_the_folder_with_its_own_tokenizer_or_an_operators_is_served() -> None:
    arguments_of("/models/m").check_served("/models/m", "/models/m", wanted_tokenizer=None)
    arguments_of("/models/m").check_served("/models/m", "/tokens", wanted_tokenizer="/tokens")


@pytest.mark.parametrize(
    ("model", "tokenizer", "part"),
    [("/other", "/other", "model /other"), ("/models/m", "/other", "tokenizer /other")],
)
def test_what_vllm_loads_from_elsewhere_is_not_served(model: str, tokenizer: str, part: str) -> None:
    with pytest.raises(SettingsError, match=f"would load the {part} in place of /models/m.*speculators_config"):
        arguments_of("/models/m").check_served(model, tokenizer, wanted_tokenizer=None)
