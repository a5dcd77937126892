"""The gateway's settings; this module alone reads the environment."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class SettingsError(ValueError):
    """A setting is missing or cannot be used; the message names it and says what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What can be set, by environment variables of the same names in capitals.

    Sizes are bytes, times seconds. ``max_in_flight`` requests are answered at once, further ones refused. ``retry_*``
    bound repeats before the first byte of an answer. ``default_model`` serves forms that name none. From the signal to
    end, requests are taken for ``lame_duck_seconds`` more, and then have ``grace_seconds`` to finish.
    """

    log_level: str = "info"
    switchyard_catalog: Path | None = None
    switchyard_allow_open: bool = False
    default_model: str = ""
    max_body_bytes: int = 32 * 1024 * 1024
    max_in_flight: int = 2048
    body_seconds: float = 60.0
    connect_seconds: float = 5.0
    first_byte_seconds: float = 900.0
    idle_seconds: float = 300.0
    heartbeat_seconds: float = 1.0
    retry_attempts: int = 4
    retry_seconds: float = 3.0
    grace_seconds: float = 30.0
    lame_duck_seconds: float = 0.0

    @staticmethod
    def from_env(env: Mapping[str, str]) -> "Settings":
        """The settings that ``env`` holds, defaults for the rest.

        Raises:
            SettingsError: a value cannot be used.
        """
        catalog = env.get("SWITCHYARD_CATALOG")
        numbers = {
            name: _number(env, name.upper(), default)
            for name, default in _DEFAULTS.items()
            if isinstance(default, (int, float)) and not isinstance(default, bool)
        }
        return Settings(
            log_level=env.get("LOG_LEVEL", "info"),
            switchyard_catalog=Path(catalog) if catalog else None,
            switchyard_allow_open=_truth(env, "SWITCHYARD_ALLOW_OPEN"),
            default_model=env.get("DEFAULT_MODEL", ""),
            **numbers,  # type: ignore[arg-type]
        )


_DEFAULTS: dict[str, object] = {name: getattr(Settings(), name) for name in Settings.__slots__}


def _number(env: Mapping[str, str], name: str, default: int | float) -> int | float:
    text = env.get(name)
    if text is None:
        return default
    try:
        value = type(default)(text)
    except ValueError:
        value = type(default)(-1)
    least = "a positive " if default else "0 or a positive "
    if not (0 < value < float("inf") or value == default == 0):
        raise SettingsError(f"{name} is {text!r}; use {least}{'number' if isinstance(default, float) else 'integer'}")
    return value


def _truth(env: Mapping[str, str], name: str) -> bool:
    text = env.get(name, "false")
    if text not in ("true", "false"):
        raise SettingsError(f"{name} is {text!r}; use true or false")
    return text == "true"


def in_cluster(env: Mapping[str, str]) -> bool:
    """Whether this process runs in a pod: Kubernetes tells every container where its API server is."""
    return "KUBERNETES_SERVICE_HOST" in env


def refuse_open_door(host: str, settings: Settings) -> None:
    """A gateway without keys serves its own machine only.

    Raises:
        SettingsError: ``host`` is no loopback address and the operator has not allowed that.
    """
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback and not settings.switchyard_allow_open:
        raise SettingsError(
            f"this gateway checks no keys, so it does not listen on {host}: use --host 127.0.0.1, or set "
            "SWITCHYARD_ALLOW_OPEN=true where a network policy decides who can reach it"
        )
