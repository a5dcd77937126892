"""What a router is told by its environment; this module alone reads it.

KServe's controller sets ``PROPAGATE_HEADERS``, Knative ``PORT``; the rest has defaults that are right in a pod.
"""

from collections.abc import Mapping
from dataclasses import dataclass


class SettingsError(ValueError):
    """A setting cannot be used; the message names it and says what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What can be set, by environment variables of the same names in capitals; sizes are bytes, times seconds.

    ``host`` empty means every address. ``metrics_port`` 0 means no metrics; unset, 9464 is used when it is free.
    ``drain_seconds`` are served on after SIGTERM, not ready, before no more connections are accepted.
    ``ensemble_parallel`` steps of one Ensemble run at once.
    """

    host: str = ""
    port: int = 8080
    metrics_port: int | None = None
    propagate_headers: str = ""
    drain_seconds: float = 5.0
    max_body_bytes: int = 16 * 1024 * 1024
    ensemble_parallel: int = 16
    log_level: str = "info"

    @staticmethod
    def from_env(env: Mapping[str, str]) -> "Settings":
        """The settings that ``env`` holds, defaults for the rest.

        Raises:
            SettingsError: a value cannot be used.
        """
        unset = Settings()
        metrics = env.get("METRICS_PORT")
        return Settings(
            host=env.get("HOST", unset.host),
            port=_whole(env, "PORT", unset.port, 65535),
            metrics_port=None if metrics is None else _whole(env, "METRICS_PORT", 0, 65535),
            propagate_headers=env.get("PROPAGATE_HEADERS", unset.propagate_headers),
            drain_seconds=_seconds(env, "DRAIN_SECONDS", unset.drain_seconds),
            max_body_bytes=_whole(env, "MAX_BODY_BYTES", unset.max_body_bytes),
            ensemble_parallel=_whole(env, "ENSEMBLE_PARALLEL", unset.ensemble_parallel) or 1,
            log_level=env.get("LOG_LEVEL", unset.log_level),
        )


def _whole(env: Mapping[str, str], name: str, default: int, most: int | None = None) -> int:
    text = env.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdecimal() or (most is not None and int(text) > most):
        bound = "" if most is None else f" up to {most}"
        raise SettingsError(f"{name} is {text!r}; use a whole number from 0{bound}")
    return int(text)


def _seconds(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise SettingsError(f"{name} is {text!r}; use a number of seconds from 0")
    return value
