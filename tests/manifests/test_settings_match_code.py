"""The shipped ``settings.env`` files name every setting that the code reads, with the code's own defaults."""

from dataclasses import fields
from pathlib import Path

import pytest

from predictors.complexity.settings import ComplexitySettings
from predictors.llm.settings import LLMSettings
from predictors.serving.settings import Settings
from predictors.vision.settings import VisionSettings
from switchyard.gateway import settings as gateway
from switchyard.settings import SettingsError
from tests.manifests.documents import ROOT, SERVICES, settings

SHIPPED = sorted(SERVICES.glob("*/settings.env"))
GATEWAY = ROOT / "manifests/platform/gateway/settings.env"

# Where a process listens and what it reads is for args, components and local mode to say.
WIRING = {
    "HOST",
    "MODEL_REPOSITORY",
    "SWITCHYARD_ALLOW_OPEN",
    "SWITCHYARD_LISTEN",
    "SWITCHYARD_CATALOG",
    "SWITCHYARD_FILES",
    "SWITCHYARD_STORE",
    "SWITCHYARD_TENANTS",
    "SWITCHYARD_TENANT_NAMESPACES",
}


def variables(*classes: type) -> set[str]:
    """The environment variables of settings classes."""
    return {field.name.upper() for cls in classes for field in fields(cls)} - WIRING


def classes_of(path: Path) -> tuple[type, ...]:
    """Who reads the settings of a service."""
    own: dict[str, type] = {"vision": VisionSettings, "complexity": ComplexitySettings}
    return (Settings, own.get(service(path), LLMSettings))


def service(path: Path) -> str:
    return path.parent.name


@pytest.mark.parametrize("path", SHIPPED, ids=service)
def test_a_shipped_file_holds_the_defaults_of_the_code(path: Path) -> None:
    env = settings(path)

    assert Settings.from_env(env) == Settings()
    if service(path) == "vision":  # a repository of many models keeps those that nobody asks for out of memory
        limits = VisionSettings(
            model_idle_seconds=300, model_repository_models=64, model_repository_bytes=6_000_000_000
        )
        assert VisionSettings.from_env(env) == limits
    elif service(path) == "complexity":
        assert ComplexitySettings.from_env(env) == ComplexitySettings()
    else:
        assert LLMSettings.from_env(env) == LLMSettings()


@pytest.mark.parametrize("path", SHIPPED, ids=service)
def test_a_shipped_file_names_only_settings_that_the_code_reads(path: Path) -> None:
    assert settings(path).keys() <= variables(*classes_of(path))


def test_every_setting_is_in_a_shipped_file() -> None:
    named = {name for path in SHIPPED for name in settings(path)}

    assert named == variables(Settings, LLMSettings, VisionSettings, ComplexitySettings)


def test_every_service_names_the_settings_that_all_predictors_share() -> None:
    for path in SHIPPED:
        assert variables(Settings) <= settings(path).keys(), service(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOG_LEVEL", "loud"),
        ("MAX_CONCURRENT_REQUESTS", "0"),
        ("GRACE_SECONDS", "-1"),
        ("DEFAULT_TEMPERATURE", "3"),
        ("DEFAULT_TOP_P", "x"),
        ("DEFAULT_MAX_TOKENS", "1.5"),
        ("USE_4BIT", "yes"),
    ],
)
def test_a_value_that_cannot_be_used_is_rejected_by_its_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        (Settings.from_env({name: value}), LLMSettings.from_env({name: value}))


def test_the_gateway_is_shipped_with_the_defaults_of_its_code_and_the_quick_model_for_forms_that_name_none() -> None:
    env = settings(GATEWAY)

    assert env.keys() == variables(gateway.Settings)
    assert gateway.Settings.from_env(env) == gateway.Settings(default_model="chat-fast")
    assert (SERVICES / env["DEFAULT_MODEL"]).is_dir()
