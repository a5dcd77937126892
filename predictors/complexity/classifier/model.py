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
CHARACTERS = features.NAMES.index("characters")


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
    """Predicts one question: the sum of a linear model and a forest, as a z-score over the training rows.

    The linear model weighs the columns' differences from ``center``, their means in training.
    """

    line: Vector
    center: Vector
    constant: float
    forest: Forest
    mean: float
    deviation: float

    def __call__(self, columns: Vector) -> float:
        value = self.constant + float(self.line @ (columns - self.center)) + self.forest(columns)
        return (value - self.mean) / self.deviation


@dataclass(frozen=True, slots=True)
class Line:
    """A linear model of the surface features alone."""

    weights: Vector
    constant: float

    def __call__(self, surface: Vector) -> float:
        return float(self.weights @ surface) + self.constant


@dataclass(frozen=True, slots=True)
class Safeguard:
    """Corrects scores by the surface alone, as far as held-out label sets showed that this ranks better.

    ``heuristic`` is added to each score. A text for which ``word_problem`` is positive, and that is not longer than
    ``longest``, the longest word problem in training, is rated by ``length`` instead.
    """

    heuristic: Line
    word_problem: Line
    length: Line
    longest: float

    def __call__(self, score: float, surface: Vector) -> float:
        """Return the corrected score."""
        return self.length(surface) if self.by_length(surface) else score + self.heuristic(surface)

    def by_length(self, surface: Vector) -> bool:
        """Tell whether a text is rated by its length."""
        return bool(surface[CHARACTERS] <= self.longest) and self.word_problem(surface) > 0


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

    ``weights`` are those of the two questions' z-scores. ``quantiles`` are those of the training rows' scores, evenly
    spaced from the minimum to the maximum. A prior has a ``safeguard``. A domain's model is combined with a ``prior``:
    ``trust`` (0 to 1) is the weight of its own score.
    """

    heads: Heads
    question_models: tuple[QuestionModel, QuestionModel]
    weights: tuple[float, float]
    quantiles: Vector
    trust: float = 1.0
    prior: "Model | None" = None
    safeguard: Safeguard | None = None

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
        score = self.weights[0] * wrong + self.weights[1] * gain
        if self.safeguard is not None:
            score = self.safeguard(score, surface)
        if self.prior is not None and self.trust < 1:
            score = self.trust * score + (1 - self.trust) * self.prior.judge_read(surface, found).score
        return Judgment(score, wrong, gain, columns)

    def reasons(self, judgment: Judgment, most: int) -> list[tuple[str, float]]:
        """Return the columns that moved the linear part of the score most, and by how much (in the score's unit)."""
        moved, count = np.zeros_like(judgment.columns), len(features.NAMES)
        for question_model, weight in zip(self.question_models, self.weights, strict=True):
            moved += (
                weight / question_model.deviation * question_model.line * (judgment.columns - question_model.center)
            )
        if self.safeguard is not None:
            away = judgment.columns[:count] - self.question_models[0].center[:count]
            if self.safeguard.by_length(judgment.columns[:count]):
                moved[:] = 0
                moved[:count] = self.safeguard.length.weights * away
            else:
                moved[:count] += self.safeguard.heuristic.weights * away
        moved *= self.trust
        order = np.argsort(-np.abs(moved))[:most]
        return [(self.column_names[place], float(moved[place])) for place in order if moved[place]]
