"""Settings of the language-model predictor; the only reader of their environment variables."""

from collections.abc import Mapping
from dataclasses import dataclass

from switchyard.settings import number, switch, whole_number


@dataclass(frozen=True, kw_only=True)
class LLMSettings:
    """The settings of a language model's service beside vLLM's own flags.

    ``default_temperature`` (0 is greedy), ``default_top_p`` and ``default_max_tokens`` apply to requests that do not
    set them; None leaves the model's own ``generation_config.json`` in force. ``model_repository`` is the folder that
    holds ``<model name>/`` when no ``--model_dir`` is given.
    """

    model_repository: str = "/mnt/models"
    use_4bit: bool = False
    default_temperature: float | None = None
    default_top_p: float | None = None
    default_max_tokens: int | None = None

    @staticmethod
    def from_env(env: Mapping[str, str]) -> "LLMSettings":
        """Read MODEL_REPOSITORY, USE_4BIT, DEFAULT_TEMPERATURE, DEFAULT_TOP_P and DEFAULT_MAX_TOKENS.

        Raises:
            SettingsError: a value is not allowed.
        """
        return LLMSettings(
            model_repository=env.get("MODEL_REPOSITORY", "") or LLMSettings.model_repository,
            use_4bit=switch(env, "USE_4BIT"),
            default_temperature=number(env, "DEFAULT_TEMPERATURE", None, most=2.0),
            default_top_p=number(env, "DEFAULT_TOP_P", None, most=1.0),
            default_max_tokens=whole_number(env, "DEFAULT_MAX_TOKENS", None, least=1),
        )

    def generation_defaults(self) -> dict[str, float | int]:
        """Return the defaults under the names of ``generation_config.json``."""
        values = {
            "temperature": self.default_temperature,
            "top_p": self.default_top_p,
            "max_new_tokens": self.default_max_tokens,
        }
        return {name: value for name, value in values.items() if value is not None}
