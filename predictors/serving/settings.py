"""Settings that every predictor shares; the only reader of their environment variables."""

from collections.abc import Mapping
from dataclasses import dataclass

from switchyard.settings import log_level, whole_number


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a predictor reads from its environment, whatever it serves.

    ``max_concurrent_requests`` are in flight at once, further ones get 503; ``grace_seconds`` is how long requests may
    take to finish when the predictor stops; ``host`` is the address it listens on.
    """

    log_level: str = "info"
    max_concurrent_requests: int = 64
    grace_seconds: int = 30
    host: str = "0.0.0.0"  # noqa: S104 - a pod's port is reached from outside; local mode sets HOST to loopback

    @staticmethod
    def from_env(env: Mapping[str, str]) -> "Settings":
        """Read LOG_LEVEL, MAX_CONCURRENT_REQUESTS, GRACE_SECONDS and HOST.

        Raises:
            SettingsError: a value is not allowed.
        """
        return Settings(
            log_level=log_level(env, Settings.log_level),
            max_concurrent_requests=whole_number(
                env, "MAX_CONCURRENT_REQUESTS", Settings.max_concurrent_requests, least=1
            ),
            grace_seconds=whole_number(env, "GRACE_SECONDS", Settings.grace_seconds, least=0),
            host=env.get("HOST", Settings.host),
        )
