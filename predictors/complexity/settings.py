"""Settings of the complexity predictor; the only reader of their environment variables."""

from collections.abc import Mapping
from dataclasses import dataclass

from switchyard.settings import SettingsError, whole_number


@dataclass(frozen=True, kw_only=True)
class ComplexitySettings:
    """Where conversations are remembered, and which chats are sent to both models to learn from them.

    ``store_url`` names a store (``sqlite:///file`` for one replica, ``redis://host:port`` for several).
    ``shadow_percent`` of the easy chats are sent to both models, at ``shadow_fast_url`` and ``shadow_reasoning_url``
    (their bases, as in ``http://chat-fast.models.svc``), and recorded with their agreement in ``shadow_file``, of at
    most ``shadow_bytes``. Bodies of more than ``max_body_bytes`` are rejected.
    """

    store_url: str = "sqlite:///tmp/complexity.db"  # the pod's scratch volume
    shadow_percent: int = 0
    shadow_fast_url: str = ""
    shadow_reasoning_url: str = ""
    shadow_file: str = "/tmp/labels.jsonl"  # noqa: S108 - likewise
    shadow_bytes: int = 64 * 1024 * 1024
    max_body_bytes: int = 16 * 1024 * 1024

    @staticmethod
    def from_env(env: Mapping[str, str]) -> "ComplexitySettings":
        """Read STORE_URL, SHADOW_PERCENT, SHADOW_FAST_URL, SHADOW_REASONING_URL, SHADOW_FILE, SHADOW_BYTES and
        MAX_BODY_BYTES.

        Raises:
            SettingsError: a value is not allowed.
        """
        default = ComplexitySettings
        read = ComplexitySettings(
            store_url=env.get("STORE_URL", "") or default.store_url,
            shadow_percent=whole_number(env, "SHADOW_PERCENT", default.shadow_percent, most=100),
            shadow_fast_url=env.get("SHADOW_FAST_URL", "").rstrip("/"),
            shadow_reasoning_url=env.get("SHADOW_REASONING_URL", "").rstrip("/"),
            shadow_file=env.get("SHADOW_FILE", "") or default.shadow_file,
            shadow_bytes=whole_number(env, "SHADOW_BYTES", default.shadow_bytes, least=1),
            max_body_bytes=whole_number(env, "MAX_BODY_BYTES", default.max_body_bytes, least=1),
        )
        if read.shadow_percent and not (read.shadow_fast_url and read.shadow_reasoning_url):
            raise SettingsError(
                "SHADOW_PERCENT needs both models' addresses: set SHADOW_FAST_URL and SHADOW_REASONING_URL"
            )
        return read
