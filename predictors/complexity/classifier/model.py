"""The learned classifier: TF-IDF heads and surface features, weighed by a line and a small forest."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictors.complexity.classifier import features
from predictors.complexity.classifier.forest import Forest
from predictors.complexity.classifier.tokens import Text
from predictors.complexity.classifier.vocabulary import Row, Terms, Vocabulary, terms

Vector = NDArray[np.float32]

# What a score is made of: is the fast tier wrong here, and how much more often is the reasoning tier right?
QUESTIONS = ("wrong", "gain")
# Gain is what routing is for, but its labels are noisy; wrong is easier to learn. Cross-validated on the label sets.
WEIGHTS = (1.0, 2.0)


@dataclass(frozen=True, slots=True)
class Heads:
    """Linear answers from terms alone: a column of weights (terms × heads) and a constant for each of ``names``."""

    names: tuple[str, ...]
    vocabulary: Vocabulary
    weights: NDArray[np.float32]
    constants: Vector

    def __call__(self, row: Row) -> Vector:
        """The value of each head for one row of the vocabulary."""
        places, values = row
        found: Vector = values @ self.weights[places] + self.constants
        return found


@dataclass(frozen=True, slots=True)
class Answerer:
    """One question's answer: the mean of a line and a forest, as a z-score over the training rows.

    The line weighs the columns' differences from ``centre``, their means in training.
    """

    line: Vector
    centre: Vector
    constant: float
    forest: Forest
    mean: float
    deviation: float

    def __call__(self, columns: Vector) -> float:
        value = (self.constant + float(self.line @ (columns - self.centre)) + self.forest(columns)) / 2
        return (value - self.mean) / self.deviation


@dataclass(frozen=True, slots=True)
class Judgement:
    """A model's word on one text: the score, its two parts as z-scores, and the columns that they were made from."""

    score: float
    wrong: float
    gain: float
    columns: Vector


@dataclass(frozen=True, slots=True)
class Model:
    """Scores a text: 0 is the mean of the training rows, 1 their standard deviation, more is harder.

    ``quantiles`` are those of the training rows' scores, evenly spaced from the least to the greatest. A model of a
    domain stands on a ``prior``, against whose score its own has the weight ``trust`` (0 to 1).
    """

    heads: Heads
    answerers: tuple[Answerer, Answerer]
    scale: float
    quantiles: Vector
    trust: float = 1.0
    prior: "Model | None" = None

    @property
    def column_names(self) -> tuple[str, ...]:
        """What each column is."""
        return (*features.NAMES, *self.heads.names)

    def judge(self, text: Text) -> Judgement:
        """The score of a text and how it came about."""
        return self.judge_read(features.surface(text), terms(text))

    def judge_read(self, surface: Vector, found: Terms) -> Judgement:
        """The same for a text that was read already: its surface and its terms."""
        columns = np.concatenate((surface, self.heads(self.heads.vocabulary.row(found))))
        wrong, gain = (answer(columns) for answer in self.answerers)
        score = (WEIGHTS[0] * wrong + WEIGHTS[1] * gain) / self.scale
        if self.prior is not None and self.trust < 1:
            score = self.trust * score + (1 - self.trust) * self.prior.judge_read(surface, found).score
        return Judgement(score, wrong, gain, columns)

    def reasons(self, judgement: Judgement, most: int) -> list[tuple[str, float]]:
        """The columns that moved the lines' part of the score most, and by how much (in the score's unit)."""
        moved = np.zeros_like(judgement.columns)
        for answer, weight in zip(self.answerers, WEIGHTS, strict=True):
            moved += weight * answer.line * (judgement.columns - answer.centre) / (2 * answer.deviation)
        moved *= self.trust / self.scale
        order = np.argsort(-np.abs(moved))[:most]
        return [(self.column_names[place], float(moved[place])) for place in order]
