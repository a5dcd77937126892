"""Fits a model: ridges on terms, and beside them a linear model and boosted trees that also see them out of fold."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

from predictors.complexity.classifier import features
from predictors.complexity.classifier.forest import Forest
from predictors.complexity.classifier.model import QUESTIONS, Heads, Judgment, Model, QuestionModel
from predictors.complexity.classifier.vocabulary import Row, Terms, Vocabulary, terms
from predictors.complexity.training.labels import Labels, Mask, Values

Matrix = NDArray[np.float32]
Target = tuple[str, Values, Mask]

FOLDS = 5
MAX_TERMS = 25_000
HEAD_PENALTY, LINE_PENALTY = 2.0, 300.0
TREES, DEPTH, RATE = 120, 3, 0.04
HALF_TRUST = 10  # own labels at which a domain's model counts as much as its prior
FULL_TRUST = 1000  # own labels from which the prior, which costs as much to evaluate, adds nothing
# Weights of "wrong" and "gain". Gain is the purpose of routing, but which model gains where differs from one pair of
# models to the next more than what is hard: across sets both count the same (cross-validated on the label sets).
SETS_WEIGHTS, DOMAIN_WEIGHTS = (1.0, 1.0), (1.0, 3.0)


@dataclass(frozen=True)
class Rows:
    """Labeled prompts as features and terms, computed once for several fits."""

    labels: Labels
    surface: Matrix
    documents: tuple[Terms, ...]

    @staticmethod
    def of(labels: Labels) -> "Rows":
        """Compute the features and terms of the texts."""
        return Rows(
            labels, np.array([features.surface(text) for text in labels.texts]), tuple(map(terms, labels.texts))
        )

    def __len__(self) -> int:
        return len(self.documents)

    def take(self, rows: NDArray[np.intp]) -> "Rows":
        """Return some of the rows."""
        return Rows(self.labels.take(rows), self.surface[rows], tuple(self.documents[row] for row in rows))


def fit_sets(sets: Sequence[Rows], seed: int) -> Model:
    """Fit a model on several sets; each set gets two heads and a weight of the square root of its size."""
    vocabulary = Vocabulary.learn([document for rows in sets for document in rows.documents], least=2, most=MAX_TERMS)
    weights = np.concatenate([np.full(len(rows), len(rows) ** -0.5) for rows in sets])
    heads, question_models = _fit(vocabulary, sets, weights, seed)
    return _finished(Model(heads, question_models, SETS_WEIGHTS, np.zeros(2, np.float32)), sets)


def fit_domain(rows: Rows, prior: Model, seed: int) -> Model:
    """Fit the model of one domain on top of ``prior``; the fewer its labels, the more counts the prior."""
    vocabulary = Vocabulary.learn(rows.documents, least=2, most=MAX_TERMS)
    heads, question_models = _fit(vocabulary, [rows], np.ones(len(rows)), seed)
    trust = 1.0 if len(rows) >= FULL_TRUST else len(rows) / (len(rows) + HALF_TRUST)
    return _finished(Model(heads, question_models, DOMAIN_WEIGHTS, np.zeros(2, np.float32), trust, prior), [rows])


def judged(model: Model, rows: Rows) -> list[Judgment]:
    """Return the model's judgment of each row."""
    return [model.judge_read(*read) for read in zip(rows.surface, rows.documents, strict=True)]


def with_quantiles(model: Model, sets: Sequence[Rows]) -> Model:
    """Return the model with the quantiles of its scores on the rows of ``sets``."""
    scores = [one.score for rows in sets for one in judged(model, rows)]
    return replace(model, quantiles=np.quantile(scores, np.linspace(0, 1, 101)).astype(np.float32))


def _fit(
    vocabulary: Vocabulary, sets: Sequence[Rows], weights: Values, seed: int
) -> tuple[Heads, tuple[QuestionModel, QuestionModel]]:
    targets = _targets(sets)
    heads, columns = _heads(vocabulary, sets, targets, weights, seed)
    columns = np.hstack((np.vstack([rows.surface for rows in sets]), columns))
    # The last two heads are ridges on all rows.
    wrong, gain = (
        _question_model(
            columns, columns.shape[1] - len(targets) + place, target, usable, weights / weights.mean(), seed
        )
        for place, (_, target, usable) in enumerate(targets)
    )
    return heads, (wrong, gain)


def _heads(
    vocabulary: Vocabulary, sets: Sequence[Rows], targets: Sequence[Target], weights: Values, seed: int
) -> tuple[Heads, Matrix]:
    """Fit two heads per set, and two on all of several sets; return their values, out of fold for the rows learned."""
    documents = [document for rows in sets for document in rows.documents]
    matrix = _sparse(vocabulary.rows(documents), len(vocabulary))
    origin = np.repeat(np.arange(len(sets)), [len(rows) for rows in sets])
    parts = [(rows.labels.name, origin == place) for place, rows in enumerate(sets)]
    if len(sets) > 1:
        parts.append(("all sets", np.ones(len(documents), bool)))
    names, ridges, columns = [], [], []
    for name, part in parts:
        for question, target, usable in targets:
            ridge = _ridge(matrix, target, weights, part & usable)
            said = ridge.predict(matrix)
            members = np.flatnonzero(part)
            # What stands on these columns must not have seen a head on its own training rows: it would trust it too
            # much.
            for _, left in KFold(FOLDS, shuffle=True, random_state=seed).split(members):
                seen = part & usable
                seen[members[left]] = False
                said[members[left]] = _ridge(matrix, target, weights, seen).predict(matrix[members[left]])
            names.append(f"terms: {name}, {question}")
            ridges.append(ridge)
            columns.append(said)
    slopes = np.array([ridge.coef_ for ridge in ridges], np.float32).T.copy()
    constants = np.array([ridge.intercept_ for ridge in ridges], np.float32)
    return Heads(tuple(names), vocabulary, slopes, constants), np.array(columns, np.float32).T


def _ridge(matrix: sparse.csr_matrix, target: Values, weights: Values, rows: Mask) -> Ridge:
    return Ridge(alpha=HEAD_PENALTY).fit(matrix[rows], target[rows], weights[rows] / weights[rows].mean())


def _question_model(
    columns: Matrix, ridge: int, target: Values, usable: Mask, weights: Values, seed: int
) -> QuestionModel:
    """Fit the mean of a line, a forest and the ridge that is already column ``ridge``."""
    x, y, w = columns[usable], target[usable], weights[usable]
    center = x.mean(axis=0)
    deviation = np.maximum(x.std(axis=0), 1e-6)
    line = Ridge(alpha=LINE_PENALTY).fit((x - center) / deviation, y, w)
    trees = GradientBoostingRegressor(
        n_estimators=TREES,
        max_depth=DEPTH,
        learning_rate=RATE,
        subsample=0.6,
        min_samples_leaf=max(10, len(y) // 400),
        max_features=0.3,
        random_state=seed,
    ).fit(x, y, w)
    slopes = line.coef_ / deviation
    slopes[ridge] += 1
    constant = (line.intercept_ + center[ridge]) / 3
    raw = QuestionModel(
        (slopes / 3).astype(np.float32), center.astype(np.float32), float(constant), _forest(trees, x, 1 / 3), 0.0, 1.0
    )
    said = np.array([raw(row) for row in columns])
    return replace(raw, mean=float(said.mean()), deviation=float(said.std()) or 1.0)


def _forest(trees: GradientBoostingRegressor, x: Matrix, part: float) -> Forest:
    """Convert ``part`` of scikit-learn's trees to equal depth; an early leaf is continued by copies of itself."""
    inner, leaves = 2**DEPTH - 1, 2**DEPTH
    feature = np.zeros((TREES, inner), np.int32)
    threshold = np.full((TREES, inner), np.inf, np.float32)
    leaf = np.zeros((TREES, leaves), np.float32)
    for number, (estimator,) in enumerate(trees.estimators_):
        tree = estimator.tree_
        at = np.zeros(inner + leaves, np.intp)
        for node in range(inner):
            here = at[node]
            branches = tree.children_left[here] != tree.children_right[here]
            if branches:
                feature[number, node] = tree.feature[here]
                threshold[number, node] = tree.threshold[here]
            at[2 * node + 1] = tree.children_left[here] if branches else here
            at[2 * node + 2] = tree.children_right[here] if branches else here
        leaf[number] = part * RATE * tree.value[at[inner:], 0, 0]
    return Forest(feature, threshold, leaf, part * float(trees.init_.predict(x[:1])[0]))


def _finished(model: Model, sets: Sequence[Rows]) -> Model:
    """Return the model with its scores scaled to a deviation of 1 on the rows it was fitted on, and their quantiles."""
    wrong, gain = np.array([(one.wrong, one.gain) for rows in sets for one in judged(model, rows)]).T
    scale = float(np.std(model.weights[0] * wrong + model.weights[1] * gain)) or 1.0
    return with_quantiles(replace(model, weights=(model.weights[0] / scale, model.weights[1] / scale)), sets)


def _targets(sets: Sequence[Rows]) -> list[Target]:
    """Return each question with its targets and the rows that it can be learned from."""
    wrong, gain, reliable = (
        np.concatenate([getattr(rows.labels, name) for rows in sets]) for name in ("wrong", "gain", "reliable")
    )
    return [(QUESTIONS[0], wrong, np.ones(len(wrong), bool)), (QUESTIONS[1], gain, reliable)]


def _sparse(rows: Sequence[Row], width: int) -> sparse.csr_matrix:
    ends = np.cumsum([0, *(len(places) for places, _ in rows)])
    places, values = (np.concatenate([row[part] for row in rows]) for part in (0, 1))
    return sparse.csr_matrix((values, places, ends), shape=(len(rows), width))
