import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictors.serving.settings import Settings
from switchyard.settings import SettingsError


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings.from_env({}) == Settings()


def test_every_variable_is_read() -> None:
    env = {"LOG_LEVEL": "DEBUG", "MAX_CONCURRENT_REQUESTS": "3", "GRACE_SECONDS": "0", "HOST": "127.0.0.1"}
    expected = Settings(log_level="debug", max_concurrent_requests=3, grace_seconds=0, host="127.0.0.1")
    assert Settings.from_env(env) == expected


def test_an_empty_value_means_the_default() -> None:
    assert Settings.from_env({"MAX_CONCURRENT_REQUESTS": ""}).max_concurrent_requests == 64


def test_an_unknown_log_level_is_rejected_with_the_allowed_ones() -> None:
    with pytest.raises(SettingsError, match="LOG_LEVEL is 'loud'; use debug, info, warning or error"):
        Settings.from_env({"LOG_LEVEL": "loud"})


@given(st.text(min_size=1).filter(lambda text: not (text.isascii() and text.isdecimal() and int(text) >= 1)))
def test_only_a_positive_whole_number_of_requests_is_accepted(text: str) -> None:
    if text.isdecimal() and int(text) >= 1:  # other scripts' digits are numbers too
        assert Settings.from_env({"MAX_CONCURRENT_REQUESTS": text}).max_concurrent_requests == int(text)
        return
    with pytest.raises(SettingsError, match="MAX_CONCURRENT_REQUESTS"):
        Settings.from_env({"MAX_CONCURRENT_REQUESTS": text})
