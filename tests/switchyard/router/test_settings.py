"""What a router reads from its environment."""

import pytest

from switchyard.router.settings import Settings
from switchyard.settings import SettingsError


def test_without_anything_set_a_router_is_what_kserve_expects() -> None:
    settings = Settings.from_env({})
    assert (settings.host, settings.port, settings.propagate_headers) == ("", 8080, "")
    assert settings.metrics_port is None
    assert settings.k_service == ""


def test_settings_come_from_variables_of_the_same_names() -> None:
    env = {
        "PORT": "1",
        "METRICS_PORT": "0",
        "PROPAGATE_HEADERS": "a,b",
        "DRAIN_SECONDS": "0.5",
        "HOST": "127.0.0.1",
        "K_SERVICE": "auto",
    }
    settings = Settings.from_env(env)
    assert (settings.port, settings.metrics_port, settings.propagate_headers) == (1, 0, "a,b")
    assert (settings.drain_seconds, settings.host, settings.k_service) == (0.5, "127.0.0.1", "auto")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PORT", "x"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("DRAIN_SECONDS", "inf"),
        ("DRAIN_SECONDS", "soon"),
        ("MAX_BODY_BYTES", "1.5"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is '{text}'; use a"):
        Settings.from_env({name: text})
