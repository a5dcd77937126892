import pytest

from predictors.llm.settings import LLMSettings
from switchyard.settings import SettingsError


def test_an_empty_environment_leaves_generation_to_the_model() -> None:
    assert LLMSettings.from_env({}) == LLMSettings()
    assert LLMSettings().generation_defaults() == {}


def test_defaults_of_a_request_go_by_the_names_of_generation_config() -> None:
    env = {"DEFAULT_TEMPERATURE": "0", "DEFAULT_TOP_P": "0.5", "DEFAULT_MAX_TOKENS": "64"}
    settings = LLMSettings.from_env(env)
    assert settings.generation_defaults() == {"temperature": 0.0, "top_p": 0.5, "max_new_tokens": 64}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEFAULT_TEMPERATURE", "nan"),
        ("DEFAULT_TEMPERATURE", "-1"),
        ("DEFAULT_TOP_P", "1.5"),
        ("DEFAULT_TOP_P", "half"),
        ("DEFAULT_MAX_TOKENS", "0"),
        ("USE_4BIT", "yes"),
    ],
)
def test_a_value_that_cannot_be_used_is_rejected_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is '{value}'"):
        LLMSettings.from_env({name: value})
