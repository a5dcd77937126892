from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from predictors.complexity.training.labels import ULAB, LabelError, local, published


def write(folder: Path, name: str, **columns: list[object]) -> None:
    parquet.write_table(pyarrow.table(columns), folder / f"{name}.parquet")


def test_own_labels_are_prompts_or_turns_with_two_outcomes(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text(
        '{"prompt": "a", "fast": 0, "reasoning": 1}\n{"prompt": ["a", "b"], "fast": 0.5, "reasoning": 0.25}\n'
    )
    found = local(file)

    assert found.name == "mine"
    assert [text.whole for text in found.texts] == ["a", "a\nb"]
    assert found.wrong.tolist() == [1, 0.5]
    assert found.gain.tolist() == [1, -0.25]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "x",
        "{}",
        '{"prompt": 3, "fast": 0, "reasoning": 1}',
        '{"prompt": "a", "fast": "x", "reasoning": 1}',
        '{"prompt": [], "fast": 0, "reasoning": 1}',
        '["prompt"]',
    ],
)
def test_a_line_that_is_no_label_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text('{"prompt": "a", "fast": 0, "reasoning": 1}\n' + line + "\n")

    with pytest.raises(LabelError, match=r"mine\.jsonl, line 2 is not"):
        local(file)


def test_an_empty_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text("")

    with pytest.raises(LabelError, match="is empty"):
        local(tmp_path / "mine.jsonl")


def test_a_folder_without_sets_is_told(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"holds none of routellm_mmlu_train\.parquet"):
        published(tmp_path)


def test_outcomes_that_one_token_decided_are_not_learned_from(tmp_path: Path) -> None:
    write(
        tmp_path,
        "routellm_mmlu_train",
        prompt=["a", "b", "c"],
        subject=["law", "high_school_mathematics", "law"],
        numopt=[False, False, True],
        weak=[0, 1, 1],
        strong=[1, 0, 1],
    )
    (found,) = published(tmp_path)

    assert found.wrong.tolist() == [1, 0, 0]
    assert found.gain.tolist() == [1, -1, 0]
    assert found.reliable.tolist() == [True, False, False]


def test_the_models_that_stand_for_the_tiers_are_named_and_a_broken_one_counts_for_nothing(tmp_path: Path) -> None:
    """The broken model is the weakest: by rank it would be the fast tier, and nothing easy."""
    fast: dict[str, list[object]] = {f"s|{model}": [1, 0] for model in ULAB.fast}
    reasoning: dict[str, list[object]] = {f"s|{model}": [1, 1] for model in ULAB.reasoning}
    broken: dict[str, list[object]] = {"s|broken": [0, 0]}
    write(tmp_path, "llmrouter_ulab_train", prompt=["easy", "hard"], **fast, **reasoning, **broken)
    (found,) = published(tmp_path)

    assert found.wrong.tolist() == [0, 1]
    assert found.gain.tolist() == [0, 1]


def test_a_tier_is_the_mean_of_its_models_or_the_best_of_them(tmp_path: Path) -> None:
    outcomes: dict[str, list[object]] = {f"s|{model}": [0] for model in (*ULAB.fast, *ULAB.reasoning)}
    outcomes |= {f"s|{ULAB.fast[0]}": [1], f"s|{ULAB.reasoning[1]}": [1]}
    write(tmp_path, "llmrouter_ulab_train", prompt=["a"], **outcomes)
    (found,) = published(tmp_path)

    assert found.wrong.tolist() == pytest.approx([2 / 3])
    assert found.gain.tolist() == pytest.approx([1 - 1 / 3])


def test_a_set_without_a_named_model_says_which_is_missing(tmp_path: Path) -> None:
    outcomes: dict[str, list[object]] = {"ok|o1-mini-2024-09-12": [1]}
    write(tmp_path, "zeroeval_crux_train", prompt=["a"], **outcomes)

    with pytest.raises(LabelError, match=r"zeroeval_crux_train\.parquet has no column ok\|Meta-Llama-3\.1-8B-Instruct"):
        published(tmp_path)


def test_steps_make_a_prompt_harder(tmp_path: Path) -> None:
    write(tmp_path, "gsm8k_train_steps", prompt=["a", "b"], steps=[2, 20])
    (found,) = published(tmp_path)

    assert np.allclose(found.wrong, [0.2, 1.0])
    assert found.word_problems
