"""Settings that every predictor shares; the only reader of their environment variables."""

from collections.abc import Mapping
from dataclasses import dataclass


class SettingError(ValueError):
    """An environment variable has a value that cannot be used; the message names it and what is allowed."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a predictor reads from its environment, whatever it serves.

    ``max_concurrent_requests`` is the number of requests worked on at once before more are refused with 503;
    ``grace_seconds`` bounds how long a stopping predictor finishes requests; ``host`` is the address it listens on.
    """

    log_level: str = "info"
    max_concurrent_requests: int = 64
    grace_seconds: int = 30
    host: str = "0.0.0.0"  # noqa: S104 - a pod's port is reached from outside; local mode sets HOST to loopback

    @staticmethod
    def from_env(env: Mapping[str, str]) -> "Settings":
        """Reads LOG_LEVEL, MAX_CONCURRENT_REQUESTS, GRACE_SECONDS and HOST.

        Raises:
            SettingError: a value is not allowed.
        """
        level = env.get("LOG_LEVEL", Settings.log_level).lower()
        if level not in ("debug", "info", "warning", "error"):
            raise SettingError(f"LOG_LEVEL is {level!r}; use debug, info, warning or error")
        return Settings(
            log_level=level,
            max_concurrent_requests=whole_number(
                env, "MAX_CONCURRENT_REQUESTS", Settings.max_concurrent_requests, least=1
            ),
            grace_seconds=whole_number(env, "GRACE_SECONDS", Settings.grace_seconds, least=0),
            host=env.get("HOST", Settings.host),
        )


def whole_number(env: Mapping[str, str], name: str, default: int, *, least: int) -> int:
    """The variable ``name`` as a whole number of at least ``least``; unset or empty means ``default``.

    Raises:
        SettingError: it is no such number.
    """
    text = env.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or int(text) < least:
        raise SettingError(f"{name} is {text!r}; use a whole number of at least {least}")
    return int(text)
