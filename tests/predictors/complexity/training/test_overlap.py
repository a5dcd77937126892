from dataclasses import replace

import numpy as np

from predictors.complexity.classifier.tokens import Text
from predictors.complexity.training.labels import Labels
from predictors.complexity.training.overlap import RARE, distinct

PASSAGE = "the committee met in the old town hall to decide on the bridge that the flood of last spring had taken away"
OWN = "a quick survey of rivers shows that none of them has ever been crossed by so many people at one time"


def labels(name: str, *texts: str) -> Labels:
    number = np.arange(len(texts), dtype=float)
    return Labels(name, tuple(map(Text.of, texts)), number, number, np.ones(len(texts), bool))


def kept(*sets: Labels) -> list[list[str]]:
    return [[text.whole for text in found.texts] for found in distinct(sets)]


def test_rows_that_share_text_are_dropped_from_every_set_and_the_rest_keep_their_labels() -> None:
    one = labels("one", f"{PASSAGE}. Who met?", OWN)
    (first, second) = distinct([one, labels("other", f"{PASSAGE}. Where?")])

    assert [text.whole for text in first.texts] == [OWN]
    assert first.wrong.tolist() == [1]
    assert not len(second)


def test_an_instruction_that_many_rows_begin_with_drops_none() -> None:
    texts = [
        f"{PASSAGE}: " + " ".join(f"word{number}{'abcdefghij'[place]}" for place in range(10))
        for number in range(RARE + 1)
    ]

    assert kept(labels("one", *texts)) == [texts]


def test_short_texts_and_a_little_overlap_are_kept() -> None:
    texts = ["Hello", "Hello", f"{OWN} {PASSAGE[:40]}", f"{PASSAGE[:40]} {OWN.upper()[::-1]}"]

    assert kept(labels("one", *texts)) == [texts]


def test_a_set_of_word_problems_stays_one() -> None:
    (found,) = distinct([replace(labels("one", OWN), word_problems=True)])

    assert found.word_problems
