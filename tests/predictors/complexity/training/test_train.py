"""The whole way from labels to a file that scores, on labels that are made here."""

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import orjson
import pytest

from predictors.complexity.classifier import files
from predictors.complexity.classifier.tokens import Text
from predictors.complexity.train import LEAST, train_domain
from predictors.complexity.training.fitting import Rows, fit_domain
from predictors.complexity.training.labels import LabelError, local
from tests.predictors.complexity.conftest import MODELS, ROOT

PRIOR = MODELS / "prior.safetensors"


def write_labels(file: Path, count: int, seed: int = 0) -> None:
    """A domain in which what mentions the moon is hard."""
    chance = random.Random(seed)
    words = (
        "a bird",
        "the house",
        "some tree",
        "this river",
        "old road",
        "red boat",
        "stone",
        "cloud",
        "walks",
        "sees",
    )
    with file.open("wb") as lines:
        for number in range(count):
            text = " ".join(chance.choices(words, k=chance.randint(5, 15)))
            hard = number % 3 == 0
            prompt = f"{text} under the moon" if hard else text
            lines.write(orjson.dumps({"prompt": prompt, "fast": int(not hard), "reasoning": 1}) + b"\n")


def test_a_domains_model_learns_what_is_hard_there(tmp_path: Path) -> None:
    write_labels(tmp_path / "moon.jsonl", 600)
    train_domain(tmp_path / "moon.jsonl", PRIOR, tmp_path / "moon.safetensors", seed=1)
    model = files.load(tmp_path / "moon.safetensors", files.load(PRIOR))

    easy, hard = model.judge(Text.of("a bird near the river")), model.judge(Text.of("a bird under the moon"))
    assert easy.score + 1 < hard.score
    assert any("terms: moon" in name for name, _ in model.reasons(hard, 3))


def test_training_twice_gives_the_same_file(tmp_path: Path) -> None:
    write_labels(tmp_path / "moon.jsonl", 400)
    for name in ("one", "other"):
        train_domain(tmp_path / "moon.jsonl", PRIOR, tmp_path / name, seed=1)

    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_the_trees_in_the_file_say_what_the_trainers_said(tmp_path: Path) -> None:
    """A score differs from one text to the next and is finite, whatever the text."""
    write_labels(tmp_path / "moon.jsonl", 400)
    rows = Rows.of(local(tmp_path / "moon.jsonl"))
    model = fit_domain(rows, files.load(PRIOR), seed=1)
    scores = [model.judge_read(*read).score for read in zip(rows.surface, rows.documents, strict=True)]

    assert np.isfinite(scores).all()
    assert np.corrcoef(scores, rows.labels.gain)[0, 1] > 0.9
    assert model.quantiles[0] == pytest.approx(min(scores))
    assert model.quantiles[-1] == pytest.approx(max(scores))


def test_too_few_labels_are_rejected(tmp_path: Path) -> None:
    write_labels(tmp_path / "moon.jsonl", LEAST - 1)

    with pytest.raises(LabelError, match=f"collect at least {LEAST}"):
        train_domain(tmp_path / "moon.jsonl", PRIOR, tmp_path / "out", seed=1)


def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "predictors.complexity.train", "--labels", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)

    assert ended.returncode == 1
    assert "holds none of" in ended.stderr
