"""Fits a model: ridge heads on terms, stacked out of fold under a linear model and boosted trees."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

from predictors.complexity.classifier import features
from predictors.complexity.classifier.forest import Forest
from predictors.complexity.classifier.model import QUESTIONS, WEIGHTS, Heads, Judgment, Model, QuestionModel
from predictors.complexity.classifier.vocabulary import Row, Terms, Vocabulary, terms
from predictors.complexity.training.labels import Labels, Mask, Values

Matrix = NDArray[np.float32]

FOLDS = 5
MAX_TERMS = 25_000
HEAD_PENALTY, LINE_PENALTY = 2.0, 300.0
TREES, DEPTH, RATE = 120, 3, 0.04
HALF_TRUST = 10  # own labels at which a domain's model counts as much as its prior
FULL_TRUST = 1000  # own labels from which the prior, which costs as much to evaluate, adds nothing
TERMS_NEED = 300  # own labels below which separate terms would be noise


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


def fit_prior(sets: Sequence[Rows], seed: int) -> Model:
    """Fit a model on several sets; each set gets two heads and a weight of the square root of its size."""
    documents = [document for rows in sets for document in rows.documents]
    vocabulary = Vocabulary.learn(documents, least=2, most=MAX_TERMS)
    matrices = [_sparse(vocabulary.rows(rows.documents), len(vocabulary)) for rows in sets]
    heads, columns = _heads(vocabulary, sets, matrices, seed)
    columns = np.hstack((np.vstack([rows.surface for rows in sets]), columns))
    weights = np.concatenate([np.full(len(rows), len(rows) ** -0.5) for rows in sets])
    question_models = _question_models(columns, sets, weights / weights.mean(), seed)
    return _finished(Model(heads, question_models, 1.0, np.zeros(2, np.float32)), sets)


def fit_domain(rows: Rows, prior: Model, seed: int) -> Model:
    """Fit the model of one domain on top of ``prior``; with few labels it is mostly the prior."""
    columns = rows.surface
    documents = rows.documents if len(rows) >= TERMS_NEED else ()
    vocabulary = Vocabulary.learn(documents, least=2, most=MAX_TERMS)
    if len(vocabulary):
        heads, own = _heads(vocabulary, [rows], [_sparse(vocabulary.rows(rows.documents), len(vocabulary))], seed)
        columns = np.hstack((columns, own))
    else:
        heads = Heads((), vocabulary, np.zeros((0, 0), np.float32), np.zeros(0, np.float32))
    question_models = _question_models(columns, [rows], np.ones(len(rows)), seed)
    trust = 1.0 if len(rows) >= FULL_TRUST else len(rows) / (len(rows) + HALF_TRUST)
    return _finished(Model(heads, question_models, 1.0, np.zeros(2, np.float32), trust, prior), [rows])


def _heads(
    vocabulary: Vocabulary, sets: Sequence[Rows], matrices: Sequence[sparse.csr_matrix], seed: int
) -> tuple[Heads, Matrix]:
    """Fit two heads per set and return their values for every row; for the rows of their own set, out of fold."""
    names, weights, constants, columns = [], [], [], []
    for place, rows in enumerate(sets):
        for question, target, usable in _targets(rows.labels):
            ridge = Ridge(alpha=HEAD_PENALTY).fit(matrices[place][usable], target[usable])
            said = [ridge.predict(matrix) for matrix in matrices]
            # What stands on these columns must not have seen a head on its own training rows: it would trust it too
            # much.
            for learned, left in KFold(FOLDS, shuffle=True, random_state=seed).split(target):
                seen = learned[usable[learned]]
                fold = Ridge(alpha=HEAD_PENALTY).fit(matrices[place][seen], target[seen])
                said[place][left] = fold.predict(matrices[place][left])
            names.append(f"terms: {rows.labels.name}, {question}")
            weights.append(ridge.coef_)
            constants.append(ridge.intercept_)
            columns.append(np.concatenate(said))
    heads = Heads(tuple(names), vocabulary, np.array(weights, np.float32).T.copy(), np.array(constants, np.float32))
    return heads, np.array(columns, np.float32).T


def _question_models(
    columns: Matrix, sets: Sequence[Rows], weights: Values, seed: int
) -> tuple[QuestionModel, QuestionModel]:
    targets = [list(_targets(rows.labels)) for rows in sets]
    wrong, gain = (
        _question_model(
            columns,
            np.concatenate([one[question][1] for one in targets]),
            np.concatenate([one[question][2] for one in targets]),
            weights,
            seed,
        )
        for question in range(len(QUESTIONS))
    )
    return wrong, gain


def _question_model(columns: Matrix, target: Values, usable: Mask, weights: Values, seed: int) -> QuestionModel:
    x, y, w = columns[usable], target[usable], weights[usable]
    center = x.mean(axis=0)
    deviation = np.maximum(x.std(axis=0), 1e-6)
    ridge = Ridge(alpha=LINE_PENALTY).fit((x - center) / deviation, y, w)
    least = max(10, len(y) // 400)
    trees = GradientBoostingRegressor(
        n_estimators=TREES,
        max_depth=DEPTH,
        learning_rate=RATE,
        subsample=0.6,
        min_samples_leaf=least,
        max_features=0.3,
        random_state=seed,
    ).fit(x, y, w)
    line = (ridge.coef_ / deviation).astype(np.float32)
    raw = QuestionModel(line, center.astype(np.float32), float(ridge.intercept_), _forest(trees, x), 0.0, 1.0)
    said = np.array([raw(row) for row in columns])
    return QuestionModel(raw.line, raw.center, raw.constant, raw.forest, float(said.mean()), float(said.std()) or 1.0)


def _forest(trees: GradientBoostingRegressor, x: Matrix) -> Forest:
    """Convert scikit-learn's trees to equal depth; an early leaf is continued by copies of itself."""
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
        leaf[number] = RATE * tree.value[at[inner:], 0, 0]
    return Forest(feature, threshold, leaf, float(trees.init_.predict(x[:1])[0]))


def _finished(model: Model, sets: Sequence[Rows]) -> Model:
    """Return the model with the scale and the quantiles of its scores on the rows it was fitted on."""
    judged = [one for rows in sets for one in _judged(model, rows)]
    scale = float(np.std([WEIGHTS[0] * one.wrong + WEIGHTS[1] * one.gain for one in judged])) or 1.0
    scaled = Model(model.heads, model.question_models, scale, model.quantiles, model.trust, model.prior)
    scores = [one.score for rows in sets for one in _judged(scaled, rows)]
    quantiles = np.quantile(scores, np.linspace(0, 1, 101)).astype(np.float32)
    return Model(model.heads, model.question_models, scale, quantiles, model.trust, model.prior)


def _judged(model: Model, rows: Rows) -> list[Judgment]:
    return [model.judge_read(*read) for read in zip(rows.surface, rows.documents, strict=True)]


def _targets(labels: Labels) -> list[tuple[str, Values, Mask]]:
    """Return each question with its targets and the rows that it can be learned from."""
    return [(QUESTIONS[0], labels.wrong, np.ones(len(labels), bool)), (QUESTIONS[1], labels.gain, labels.reliable)]


def _sparse(rows: Sequence[Row], width: int) -> sparse.csr_matrix:
    ends = np.cumsum([0, *(len(places) for places, _ in rows)])
    places, values = (np.concatenate([row[part] for row in rows]) for part in (0, 1))
    return sparse.csr_matrix((values, places, ends), shape=(len(rows), width))
