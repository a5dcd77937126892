"""docs/concepts/routing.md against the code that it describes."""

import re
from dataclasses import fields
from pathlib import Path
from typing import get_args

import orjson
from safetensors import safe_open

from predictors.complexity.classifier.features import NAMES
from predictors.complexity.classifier.tokens import MAX_CHARACTERS
from predictors.complexity.settings import ComplexitySettings
from predictors.complexity.tiers import affinity, share
from predictors.complexity.tiers.rules import Reason
from predictors.complexity.training.fitting import TREES
from predictors.complexity.training.overlap import MOST_SHARED

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "concepts" / "routing.md").read_text()


def test_every_reason_is_explained() -> None:
    table = PAGE.split("| reason | when | tier |")[1].split("\n\n")[0]

    assert set(re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)) == set(get_args(Reason))


def test_every_setting_is_on_the_page_with_its_default() -> None:
    rows = {
        name: cell.strip(" `–")
        for names, cell in re.findall(r"^\| ((?:`[A-Z_]+`(?:, )?)+) \|([^|]*)\|", PAGE, re.MULTILINE)
        for name in re.findall(r"[A-Z_]+", names)
    }

    assert rows == {field.name.upper(): str(field.default) for field in fields(ComplexitySettings)}


def test_figures_on_the_page_are_those_of_the_code() -> None:
    words = " ".join(PAGE.split())

    assert f"at most {MAX_CHARACTERS:,} characters" in words
    assert f"less than {affinity.IDLE_SECONDS:g} s ago" in words
    assert f"{1000 * affinity.MARGIN_PER_TOKEN:g} standard deviations per 1,000 tokens" in words
    assert f"quantile of the last {share.WINDOW} scores" in words
    assert f"after the first {share.WARM_UP} decisions" in words
    assert f"up to {share.FORGET:g} of them" in words
    assert f"{len(NAMES)} features" in words
    assert f"{TREES} small trees" in words
    assert f"more than {MOST_SHARED:.0%}".replace("%", " %") in words


def test_what_the_page_says_of_the_prior_is_what_its_file_measured() -> None:
    with safe_open(ROOT / "model-repository" / "complexity" / "prior.safetensors", "numpy") as file:
        problems = orjson.loads(file.metadata()["switchyard"])["held_out"]["gsm8k"]

    assert f"APGR {problems['length']:.3f} against {problems['learned alone']:.3f}" in " ".join(PAGE.split())
