import pytest

from predictors.vision.settings import VisionSettings
from switchyard.settings import SettingsError


def test_an_empty_environment_gives_the_defaults() -> None:
    assert VisionSettings.from_env({}) == VisionSettings()


def test_every_setting_has_its_variable() -> None:
    env = {"MODEL_IDLE_SECONDS": "60", "MODEL_LOAD_SECONDS": "30", "MAX_WAITING_REQUESTS": "8"}
    env |= {"MAX_BODY_BYTES": "1000", "ANSWER_SECONDS": "5"}
    env |= {"MODEL_REPOSITORY_MODELS": "3", "MODEL_REPOSITORY_BYTES": "4000"}
    assert VisionSettings.from_env(env) == VisionSettings(
        model_idle_seconds=60,
        model_load_seconds=30,
        max_waiting_requests=8,
        max_body_bytes=1000,
        answer_seconds=5,
        model_repository_models=3,
        model_repository_bytes=4000,
    )


@pytest.mark.parametrize("name", ["MODEL_LOAD_SECONDS", "MAX_BODY_BYTES", "ANSWER_SECONDS", "MAX_WAITING_REQUESTS"])
def test_a_value_that_cannot_be_used_is_named(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is '0'"):
        VisionSettings.from_env({name: "0"})
