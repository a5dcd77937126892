"""Settings of the vision predictor; the only reader of their environment variables."""

from collections.abc import Mapping
from dataclasses import dataclass

from switchyard.settings import whole_number


@dataclass(frozen=True, kw_only=True)
class VisionSettings:
    """The settings of a vision service beside Triton's own in each ``config.pbtxt``.

    A model is unloaded ``model_idle_seconds`` after its last request (0: never). A request for a model that is not
    loaded waits at most ``model_load_seconds``, and at most ``max_waiting_requests`` do. ``max_body_bytes`` bounds a
    request body and a gRPC message. ``answer_seconds`` is how long Triton may take for one image. At most
    ``model_repository_models`` are loaded, which need at most ``model_repository_bytes`` together (0: no limit).
    """

    model_idle_seconds: int = 0
    model_load_seconds: int = 120
    max_waiting_requests: int = 256
    max_body_bytes: int = 64 * 1024 * 1024
    answer_seconds: int = 60
    model_repository_models: int = 0
    model_repository_bytes: int = 0

    @staticmethod
    def from_env(env: Mapping[str, str]) -> "VisionSettings":
        """Read the environment variables that docs/concepts/vision.md lists.

        Raises:
            SettingsError: a value is not allowed.
        """
        default = VisionSettings
        return VisionSettings(
            model_idle_seconds=whole_number(env, "MODEL_IDLE_SECONDS", default.model_idle_seconds, least=0),
            model_load_seconds=whole_number(env, "MODEL_LOAD_SECONDS", default.model_load_seconds, least=1),
            max_waiting_requests=whole_number(env, "MAX_WAITING_REQUESTS", default.max_waiting_requests, least=1),
            max_body_bytes=whole_number(env, "MAX_BODY_BYTES", default.max_body_bytes, least=1),
            answer_seconds=whole_number(env, "ANSWER_SECONDS", default.answer_seconds, least=1),
            model_repository_models=whole_number(
                env, "MODEL_REPOSITORY_MODELS", default.model_repository_models, least=0
            ),
            model_repository_bytes=whole_number(env, "MODEL_REPOSITORY_BYTES", default.model_repository_bytes, least=0),
        )
