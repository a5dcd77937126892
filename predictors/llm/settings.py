"""Settings of the language-model predictor; the only reader of their environment variables."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from predictors.serving.settings import SettingError, whole_number


@dataclass(frozen=True, kw_only=True)
class LLMSettings:
    """What a language model's service configures beside vLLM's own flags.

    The defaults of a request that does not say: ``default_temperature`` (0 is greedy), ``default_top_p`` and
    ``default_max_tokens``; None leaves the model's own ``generation_config.json`` in force. ``model_repository`` is the
    folder that holds ``<model name>/`` when no ``--model_dir`` is given.
    """

    model_repository: str = "/mnt/models"
    use_4bit: bool = False
    default_temperature: float | None = None
    default_top_p: float | None = None
    default_max_tokens: int | None = None

    @staticmethod
    def from_env(env: Mapping[str, str]) -> "LLMSettings":
        """Reads MODEL_REPOSITORY, USE_4BIT, DEFAULT_TEMPERATURE, DEFAULT_TOP_P and DEFAULT_MAX_TOKENS.

        Raises:
            SettingError: a value is not allowed.
        """
        max_tokens = whole_number(env, "DEFAULT_MAX_TOKENS", 0, least=1)
        return LLMSettings(
            model_repository=env.get("MODEL_REPOSITORY", "") or LLMSettings.model_repository,
            use_4bit=_switch(env, "USE_4BIT"),
            default_temperature=_number(env, "DEFAULT_TEMPERATURE", 0.0, 2.0),
            default_top_p=_number(env, "DEFAULT_TOP_P", 0.0, 1.0),
            default_max_tokens=max_tokens or None,
        )

    def generation_defaults(self) -> dict[str, float | int]:
        """The defaults under the names that ``generation_config.json`` uses."""
        values = {
            "temperature": self.default_temperature,
            "top_p": self.default_top_p,
            "max_new_tokens": self.default_max_tokens,
        }
        return {name: value for name, value in values.items() if value is not None}


def _switch(env: Mapping[str, str], name: str) -> bool:
    text = env.get(name, "").lower()
    if text not in ("", "true", "false"):
        raise SettingError(f"{name} is {text!r}; use true or false")
    return text == "true"


def _number(env: Mapping[str, str], name: str, least: float, most: float) -> float | None:
    text = env.get(name, "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise SettingError(f"{name} is {text!r}; use a number from {least} to {most}")
    return value
