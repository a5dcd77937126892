"""The learned classifier: TF-IDF heads and surface features, combined by a linear model and a small forest."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predictors.complexity.classifier import features
from predictors.complexity.classifier.forest import Forest
from predictors.complexity.classifier.tokens import Text
from predictors.complexity.classifier.vocabulary import Row, Terms, Vocabulary, terms

Vector = NDArray[np.float32]

# A score combines two questions: is the fast tier wrong here, and how much more often is the reasoning tier right?
QUESTIONS = ("wrong", "gain")
# Gain is the purpose of routing, but its labels are noisy; wrong is easier to learn. Cross-validated on the label sets.
WEIGHTS = (1.0, 2.0)


@dataclass(frozen=True, slots=True)
class Heads:
    """Linear models on terms alone: a column of weights (terms × heads) and a constant for each of ``names``."""

    names: tuple[str, ...]
    vocabulary: Vocabulary
    weights: NDArray[np.float32]
    constants: Vector

    def __call__(self, row: Row) -> Vector:
        """Return the value of each head for one row of the vocabulary."""
        places, values = row
        found: Vector = values @ self.weights[places] + self.constants
        return found


@dataclass(frozen=True, slots=True)
class QuestionModel:
    """Predicts one question: the mean of a linear model and a forest, as a z-score over the training rows.

    The linear model weighs the columns' differences from ``center``, their means in training.
    """

    line: Vector
    center: Vector
    constant: float
    forest: Forest
    mean: float
    deviation: float

    def __call__(self, columns: Vector) -> float:
        value = (self.constant + float(self.line @ (columns - self.center)) + self.forest(columns)) / 2
        return (value - self.mean) / self.deviation


@dataclass(frozen=True, slots=True)
class Judgment:
    """The prediction for one text: the score, its two parts as z-scores, and the columns they were computed from."""

    score: float
    wrong: float
    gain: float
    columns: Vector


@dataclass(frozen=True, slots=True)
class Model:
    """Scores a text: 0 is the mean of the training rows, 1 their standard deviation; higher is harder.

    ``quantiles`` are those of the training rows' scores, evenly spaced from the minimum to the maximum. A domain's
    model is combined with a ``prior``: ``trust`` (0 to 1) is the weight of its own score.
    """

    heads: Heads
    question_models: tuple[QuestionModel, QuestionModel]
    scale: float
    quantiles: Vector
    trust: float = 1.0
    prior: "Model | None" = None

    @property
    def column_names(self) -> tuple[str, ...]:
        """The name of each column."""
        return (*features.NAMES, *self.heads.names)

    def judge(self, text: Text) -> Judgment:
        """Return the score of a text and its parts."""
        return self.judge_read(features.surface(text), terms(text))

    def judge_read(self, surface: Vector, found: Terms) -> Judgment:
        """Do the same for a text whose surface and terms are already computed."""
        columns = np.concatenate((surface, self.heads(self.heads.vocabulary.row(found))))
        wrong, gain = (predict(columns) for predict in self.question_models)
        score = (WEIGHTS[0] * wrong + WEIGHTS[1] * gain) / self.scale
        if self.prior is not None and self.trust < 1:
            score = self.trust * score + (1 - self.trust) * self.prior.judge_read(surface, found).score
        return Judgment(score, wrong, gain, columns)

    def reasons(self, judgment: Judgment, most: int) -> list[tuple[str, float]]:
        """Return the columns that moved the linear part of the score most, and by how much (in the score's unit)."""
        moved = np.zeros_like(judgment.columns)
        for question_model, weight in zip(self.question_models, WEIGHTS, strict=True):
            moved += (
                weight
                * question_model.line
                * (judgment.columns - question_model.center)
                / (2 * question_model.deviation)
            )
        moved *= self.trust / self.scale
        order = np.argsort(-np.abs(moved))[:most]
        return [(self.column_names[place], float(moved[place])) for place in order]
