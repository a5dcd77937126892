from pathlib import Path

import torch

from predictors.llm.training.tokenizer import train_tokenizer
from predictors.llm.training.train import load, loss_of, new_model, save


def test_what_was_saved_can_be_trained_on_and_saved_again(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(["What is 1 plus 2?"] * 20)
    model = new_model(tokenizer)
    save(model, tokenizer, tmp_path)
    again, words = load(tmp_path)
    assert again.training
    assert words.get_vocab() == tokenizer.get_vocab()
    tokens = torch.tensor([words("What is 1 plus 2?").input_ids])
    loss_of(again, tokens[:, :-1], tokens[:, 1:]).backward()
    save(again, words, tmp_path)
