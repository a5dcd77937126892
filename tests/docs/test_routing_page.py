"""docs/concepts/routing.md against the code that it describes."""

import re
from dataclasses import fields
from pathlib import Path
from typing import get_args

from predictors.complexity.classifier.features import NAMES
from predictors.complexity.classifier.tokens import MAX_CHARACTERS
from predictors.complexity.settings import ComplexitySettings
from predictors.complexity.tiers import affinity, share
from predictors.complexity.tiers.rules import Reason
from predictors.complexity.training.fitting import TREES

PAGE = (Path(__file__).parents[2] / "docs" / "concepts" / "routing.md").read_text()


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
