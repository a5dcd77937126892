from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from predictors.complexity.training.labels import LabelError, local, published


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


def test_of_many_models_the_weaker_and_the_stronger_third_stand_for_the_tiers(tmp_path: Path) -> None:
    write(
        tmp_path,
        "mmlupro_train",
        prompt=["a", "b"],
        **{"ok|strong": [1, 1], "ok|middle": [1, 0], "ok|weak": [0, 0]},  # type: ignore[arg-type]
    )
    (found,) = published(tmp_path)

    assert found.wrong[0] == 1
    assert found.gain[0] == 1


def test_steps_make_a_prompt_harder(tmp_path: Path) -> None:
    write(tmp_path, "gsm8k_train_steps", prompt=["a", "b"], steps=[2, 20])
    (found,) = published(tmp_path)

    assert np.allclose(found.wrong, [0.2, 1.0])
