"""docs/concepts/predictors.md against the code that it describes."""

import re
from dataclasses import fields
from pathlib import Path

from predictors.llm.settings import LLMSettings
from predictors.llm.v2.completion import PARAMETERS
from predictors.serving.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "concepts" / "predictors.md").read_text()


def test_every_setting_is_on_the_page() -> None:
    documented = set(re.findall(r"`([A-Z0-9_]{4,})`", PAGE))
    names = {field.name.upper() for settings in (Settings, LLMSettings) for field in fields(settings)}
    assert names <= documented


def test_defaults_on_the_page_are_those_of_the_code() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_0-9]+)` \| `([^`]+)` \|", PAGE, re.MULTILINE))
    code = Settings()
    assert rows["MAX_CONCURRENT_REQUESTS"] == str(code.max_concurrent_requests)
    assert rows["GRACE_SECONDS"] == str(code.grace_seconds)
    assert rows["LOG_LEVEL"] == code.log_level
    assert rows["HOST"] == code.host
    assert rows["MODEL_REPOSITORY"] == LLMSettings().model_repository


def test_parameters_that_the_page_names_exist() -> None:
    assert {"max_tokens", "temperature", "top_p"} <= PARAMETERS
