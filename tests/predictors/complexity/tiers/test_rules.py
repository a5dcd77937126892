from typing import Any

import pytest

from predictors.complexity.tiers.conversation import read
from predictors.complexity.tiers.rules import Tiers, chosen_by_others, too_long_for_fast

TIERS = Tiers(fast="small", reasoning="large", fast_window=100, characters_per_token=4.0)


@pytest.mark.parametrize(
    ("body", "policy", "found"),
    [
        ({"model": "small"}, "", ("fast", "explicit-model")),
        ({"model": "large"}, "", ("reasoning", "explicit-model")),
        ({"model": "large"}, "fast", ("reasoning", "explicit-model")),
        ({"model": "auto"}, "fast", ("fast", "tenant-policy")),
        ({"model": "auto", "reasoning_effort": "high"}, "fast", ("fast", "tenant-policy")),
        ({}, "reasoning", ("reasoning", "tenant-policy")),
        ({}, "auto", None),
        ({}, "FAST", None),
        ({"reasoning_effort": "low"}, "", ("reasoning", "reasoning-flag")),
        ({"reasoning_effort": "none"}, "", ("fast", "reasoning-flag")),
        ({"reasoning_effort": None}, "", None),
        ({"reasoning": {"effort": "minimal"}}, "", ("fast", "reasoning-flag")),
        ({"reasoning": {"summary": "auto"}}, "", None),
        ({"thinking": {"type": "enabled", "budget_tokens": 9}}, "", ("reasoning", "reasoning-flag")),
        ({"thinking": {"type": "disabled"}}, "", ("fast", "reasoning-flag")),
        ({"thinking": {"type": "adaptive"}}, "", None),
        ({"chat_template_kwargs": {"enable_thinking": False}}, "", ("fast", "reasoning-flag")),
        ({"chat_template_kwargs": {"enable_thinking": "no"}}, "", None),
        ({"reasoning": 3, "thinking": [], "chat_template_kwargs": "x"}, "", None),
    ],
)
def test_what_others_chose_comes_first(body: dict[str, Any], policy: str, found: tuple[str, str] | None) -> None:
    assert chosen_by_others(body, policy, TIERS) == found


@pytest.mark.parametrize(
    ("characters", "limits", "too_long"),
    [
        (400, {}, False),
        (404, {}, True),
        (200, {"max_tokens": 50}, False),
        (200, {"max_tokens": 51}, True),
        (200, {"max_completion_tokens": 51}, True),
        (200, {"max_output_tokens": 51}, True),
        (200, {"max_tokens": "many"}, False),
    ],
)
def test_what_the_fast_model_has_no_room_for_goes_to_the_other(
    characters: int, limits: dict[str, Any], too_long: bool
) -> None:
    body = {"prompt": "x" * characters, **limits}
    expected = ("reasoning", "context-length") if too_long else None

    assert too_long_for_fast(body, read(body), TIERS) == expected


def test_tokens_of_a_prompt_count_as_they_are() -> None:
    body = {"prompt": [1] * 101}

    assert too_long_for_fast(body, read(body), TIERS) == ("reasoning", "context-length")
