"""The router's settings; only this module reads their environment variables.

KServe's controller sets ``PROPAGATE_HEADERS``, Knative ``PORT`` and ``K_SERVICE``; the rest has defaults that are right
in a pod.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from switchyard.settings import log_level, seconds, whole_number


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What can be set, by environment variables of the same names in capitals; sizes are bytes, times seconds.

    ``host`` empty means every address. ``metrics_port`` 0 means no metrics; unset, 9464 is used when it is free.
    ``drain_seconds`` are served on after SIGTERM, not ready, before no more connections are accepted.
    ``ensemble_parallel`` steps of one Ensemble run at once. ``k_service`` is the graph's name, empty where nobody says.
    """

    host: str = ""
    port: int = 8080
    metrics_port: int | None = None
    propagate_headers: str = ""
    # KServe's router sleeps 30 s here, which is all of a pod's default grace period.
    drain_seconds: float = 5.0
    # A condition on a hostile body may take 0.2 s a megabyte, in which the event loop does nothing else.
    max_body_bytes: int = 16 * 1024 * 1024
    ensemble_parallel: int = 16
    log_level: str = "info"
    k_service: str = ""

    @staticmethod
    def from_env(env: Mapping[str, str]) -> "Settings":
        """Read the settings from ``env``, with defaults for the rest."""
        unset = Settings()
        return Settings(
            host=env.get("HOST", unset.host),
            port=whole_number(env, "PORT", unset.port, most=65535),
            metrics_port=whole_number(env, "METRICS_PORT", unset.metrics_port, most=65535),
            propagate_headers=env.get("PROPAGATE_HEADERS", unset.propagate_headers),
            drain_seconds=seconds(env, "DRAIN_SECONDS", unset.drain_seconds, least=0),
            max_body_bytes=whole_number(env, "MAX_BODY_BYTES", unset.max_body_bytes),
            ensemble_parallel=whole_number(env, "ENSEMBLE_PARALLEL", unset.ensemble_parallel, least=1),
            log_level=log_level(env, unset.log_level),
            k_service=env.get("K_SERVICE", unset.k_service),
        )
