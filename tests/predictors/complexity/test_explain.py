import subprocess
import sys
from pathlib import Path

import pytest

from predictors.complexity.classifier.scorers import make_scorer
from predictors.complexity.classifier.tokens import Text
from predictors.complexity.explain import LineError, text_of
from tests.predictors.complexity.conftest import MODELS, ROOT
from tests.predictors.complexity.tiers.test_decider import HARD


def route(*argv: str) -> subprocess.CompletedProcess[str]:
    """``switchyard route argv…``."""
    command = [sys.executable, "-m", "switchyard.cli", "route", *argv]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)


def test_explain_prints_score_heads_features_and_tier() -> None:
    said = route("explain", "--domain=demo", HARD).stdout

    score = make_scorer("learned", MODELS, "demo").score(Text.of(HARD))
    assert f"score      {score:+.3f}" in said
    assert "tier       reasoning" in said
    assert "wrong      " in said
    assert "gain       " in said
    assert len(said.split("moved by\n")[1].splitlines()) == 8


@pytest.mark.parametrize(("share", "tier"), [("0.01", "fast"), ("0.99", "reasoning")])
def test_explain_follows_the_share(share: str, tier: str) -> None:
    assert (
        f"tier       {tier}"
        in route(
            "explain",
            f"--share={share}",
            "--scorer=length",
            "Explain how a bicycle stays upright while it rolls along a road.",
        ).stdout
    )


def test_a_prompt_may_look_like_an_option() -> None:
    assert "score" in route("explain", "--scorer=length", "--", "--what is this?").stdout


def test_score_prints_one_score_per_line(tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "a"}\n"a"\n{"prompt": ["a", "b"]}\n{"messages": [{"role": "user", "content": "a"}]}\n')
    said = route("score", str(file)).stdout.split()

    scorer = make_scorer("learned", MODELS)
    assert said == [f"{scorer.score(Text.of(*turns)):.4f}" for turns in (["a"], ["a"], ["a", "b"], ["a"])]


@pytest.mark.parametrize("line", [b"x", b"3", b"{}", b'{"prompt": [1, 2]}', b"[]"])
def test_a_line_that_is_no_prompt_is_named(line: bytes) -> None:
    with pytest.raises(LineError, match="line 4"):
        text_of(line, "line 4")


def test_a_missing_file_is_a_sentence() -> None:
    ended = route("score", "nowhere.jsonl")

    assert ended.returncode == 1
    assert ended.stderr.startswith("error: ")
